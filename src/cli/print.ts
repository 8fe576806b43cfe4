/** The only way of commands to stdout and stderr: what is printed on a terminal is shown by it, and does nothing else. */
import { forTerminal, plainJson } from '../core/plain-text.ts';

/** False: the reader is slow, wait for 'drain'. Colours and lines stay; a pipe or file gets every byte. */
export function toStdout(text: string): boolean {
  return process.stdout.write(process.stdout.isTTY === true ? forTerminal(text) : text);
}

export function toStderr(text: string): boolean {
  return process.stderr.write(process.stderr.isTTY === true ? forTerminal(text) : text);
}

/** A value as JSON for people. */
export function jsonText(value: unknown): string {
  return `${plainJson(JSON.stringify(value, null, 2))}\n`;
}

/** A value as one line of NDJSON. */
export function jsonLine(value: unknown): string {
  return plainJson(JSON.stringify(value));
}
