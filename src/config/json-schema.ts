/** The JSON Schema of supervisor.yaml, for editors: the same schema that checks the file. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from './schema.ts';

/** Draft 7, of what may be written. */
export function jsonSchema(): object {
  const schema = toJsonSchema(configSchema, { typeMode: 'input', errorMode: 'ignore' });
  return { ...schema, title: 'supervisor.yaml', description: 'Services that gsup supervises.' };
}
