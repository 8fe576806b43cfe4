import { expect, test } from 'vitest';
import { jsonSchema } from '../../src/config/json-schema.ts';
import { serviceSchema } from '../../src/config/schema.ts';

type Schema = { properties: Record<string, Schema>; additionalProperties: Schema | false; description?: string };

test('the JSON Schema has every key of a service with its description', () => {
  const schema = jsonSchema() as Schema;
  const service = schema.properties['services']?.additionalProperties;
  if (!service) throw new Error('no schema of a service');
  expect(Object.keys(service.properties)).toEqual(Object.keys(serviceSchema.entries));
  expect(Object.values(service.properties).filter(({ description }) => !description)).toEqual([]);
  expect(service.additionalProperties).toBe(false);
});
