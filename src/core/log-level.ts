/** How much is recorded: `GSUP_LOG`. */
import { usageError } from './error.ts';
import { nearest } from './name.ts';

/** From the most to the least, as pino has them. */
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type LogLevel = (typeof LEVELS)[number];

/** The level that the environment asks for; `info` where it is not set or empty. @throws {GsupError} 2 for an unknown one. */
export function logLevelIn({ GSUP_LOG: text }: Readonly<Record<string, string | undefined>>): LogLevel {
  if (text === undefined || text === '') return 'info';
  const level = LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  const near = nearest(text, LEVELS);
  const expected = `expected ${LEVELS.slice(0, -1).join(', ')} or ${LEVELS.at(-1)}`;
  throw usageError(
    `GSUP_LOG="${shortened(text)}" is not a valid log level`,
    near === null ? expected : `did you mean ${near}? ${expected}`,
  );
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
