/** What a daemon in the background and the command that started it say to each other, on a pipe between them. */
import { readSync, writeSync } from 'node:fs';
import type { Refusal } from '../api/types.ts';

/** The daemon's end of the pipe, and its place among the child's stdio. */
export const STARTER_FD = 3;

/** Until it comes, a daemon is only loaded. */
export const BEGIN = 'begin\n';
const READY = 'ready';

/** The daemon is ready, or this is why it can't start. */
export type Said = { readonly refusal: Refusal | null };

/** Blocks until the command has decided; false: it has ended without wanting a daemon. */
export function isWanted(): boolean {
  return readSync(STARTER_FD, Buffer.alloc(16)) > 0;
}

export function sayReady(): void {
  say(READY);
}

/** Why it can't start. */
export function sayFailure(refusal: Refusal): void {
  say(JSON.stringify(refusal));
}

/** The first line of what came through the pipe; `null` when it is not whole. */
export function saidIn(text: string): Said | null {
  const end = text.indexOf('\n');
  if (end < 0) return null;
  const line = text.slice(0, end);
  return { refusal: line === READY ? null : (JSON.parse(line) as Refusal) };
}

function say(line: string): void {
  try {
    writeSync(STARTER_FD, `${line}\n`);
  } catch {
    // The command has gone away, which is no reason for a daemon to end.
  }
}
