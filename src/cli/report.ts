/** What a command or daemon that failed prints, and its exit status: a sentence and what to do, never a stack. */
import { writeSync } from 'node:fs';
import { systemReason } from '../api/system-error.ts';
import type { Refusal } from '../api/types.ts';
import { EXIT, isGsupError } from '../core/error.ts';
import { forTerminal } from '../core/plain-text.ts';

/** Between two attempts to write to a stderr that is full, and their number. */
const FULL_PAUSE_MS = 5;
const FULL_ATTEMPTS = 100;
const LONGEST_MESSAGE = 300;
const STDERR = 2;

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'check who owns it, and its mode and that of the folders above it',
  EPERM: 'check who owns it, and whether this user may do that here',
  ENOSPC: 'make room on its disk',
  EDQUOT: "make room: the user's quota is used up",
  EROFS: 'it is on a read-only file system: name another place',
  EMFILE: 'raise the limit of open files: ulimit -n',
  ENFILE: 'the machine has no more open files to give: raise fs.file-max',
  ENOMEM: 'free some memory, or raise the limit of the container',
};

/**
 * Prints it on stderr and returns the exit status. `log`: the file that has the stack of an unexpected error; without
 * one the stack is printed, with GSUP_LOG=debug only.
 */
export function report(error: unknown, log: string | null = null): number {
  const refusal = refusalOf(error, log);
  print(refusal);
  if (log === null && isStackWanted() && !isGsupError(error)) write(`${stackOf(error)}\n`);
  return refusal.exitStatus;
}

/** The sentence, what to do, and the exit status. */
export function refusalOf(error: unknown, log: string | null = null): Refusal {
  if (isGsupError(error)) {
    const { message, exitStatus, hint } = error;
    return { error: message, exitStatus, ...(hint === undefined ? {} : { hint }) };
  }
  const where =
    log === null ? 'run it again with GSUP_LOG=debug to see where it happened' : `the details are in ${log}`;
  const [text, hint] = isSystemError(error)
    ? [systemText(error), systemHint(error) ?? where]
    : [`internal error: ${firstLine(error)}`, `this is a bug of gsup, please report it; ${where}`];
  return { error: text.replace(/\p{Cc}/gu, ''), exitStatus: EXIT.failed, hint };
}

function print({ error, exitStatus, hint }: Refusal): void {
  const lines = [`${exitStatus === EXIT.config ? '' : 'gsup: '}${error}`, ...(hint === undefined ? [] : [`  ${hint}`])];
  const text = `${lines.join('\n')}\n`;
  write(process.stderr.isTTY === true ? forTerminal(text) : text);
}

/** For a log: with the errors that caused it. */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

function isStackWanted(): boolean {
  return process.env['GSUP_LOG'] === 'debug' || process.env['GSUP_LOG'] === 'trace';
}

type SystemError = NodeJS.ErrnoException & {
  readonly code: string;
  readonly syscall: string;
  readonly address?: string;
  readonly dest?: string;
};

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

function systemText(error: SystemError): string {
  const { syscall, path, address, dest } = error;
  if (syscall === 'uv_cwd') return 'the current folder does not exist any more';
  const place = [path ?? address, dest].filter(Boolean).join(' to ');
  return `cannot ${place === '' ? syscall : `${syscall} ${place}`}: ${systemReason(error)}`;
}

function systemHint({ code, syscall }: SystemError): string | undefined {
  return syscall === 'uv_cwd' ? 'change to another one: cd' : HINTS[code];
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const [line = ''] = text.trim().split('\n');
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}…` : line;
}

/** Not by process.stderr: an error of its own would come later, when this process has its exit status. */
function write(text: string): void {
  let rest = Buffer.from(text);
  for (let attempt = 0; rest.length > 0 && attempt < FULL_ATTEMPTS; ) {
    try {
      rest = rest.subarray(writeSync(STDERR, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      attempt += 1;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PAUSE_MS);
    }
  }
}
