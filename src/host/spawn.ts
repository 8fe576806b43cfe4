/** Starts a process as a spec wants it: session, streams, user, umask, nice; and tells why one could not be started. */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { EXIT, GsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { OutputChannel, Streams } from './host.ts';
import { type Command, statOf } from './interpreter.ts';
import { type Child, spawnNative } from './native-child.ts';
import { findGroup, findUser } from './user.ts';

/** How a child's descriptors are laid: its streams, and from 3 on what else it gets. */
type Laid = { readonly streams: Streams; readonly others: readonly ('ipc' | 'ignore' | number)[] };

/** Spawns it. @throws {GsupError} whose exit status is 126 or 127 when no other try will help. */
export function startProcess(
  spec: ServiceSpec,
  command: Pick<Command, 'file' | 'args'>,
  env: Readonly<Record<string, string>>,
  { streams, others }: Laid,
): Child {
  const ids = identity(spec);
  const channel = typeof streams.output === 'string' ? null : openChannel(streams.output, spec);
  // Inherited by the child at fork; nothing else of this process creates files in between, for spawning is synchronous.
  const before = spec.umask === null ? null : process.umask(spec.umask);
  const place = { cwd: spec.cwd, env, stdio: [streams.stdin, ...outputs(streams, channel), ...others] };
  try {
    // Who must become another user, or is in our terminal or channel, needs Node's way.
    const isPlain = channel !== null && ids.uid === undefined && ids.gid === undefined && !streams.isInTerminal;
    const child = isPlain ? spawnNative({ ...command, ...place }) : null;
    return child ?? spawn(command.file, command.args, { ...place, detached: !streams.isInTerminal, ...ids });
  } catch (error) {
    const [reason, exitStatus] = spawnFailure(command.file, error);
    throw new GsupError(reason, { exitStatus: exitStatus ?? EXIT.failed, cause: error });
  } finally {
    if (before !== null) process.umask(before);
    channel?.close();
  }
}

type Opened = ReturnType<OutputChannel['open']>;

function openChannel(output: OutputChannel, spec: ServiceSpec): Opened {
  try {
    return output.open();
  } catch (cause) {
    const why = (cause as Error).message;
    throw new GsupError(`cannot open the log streams of ${spec.name}: ${why}`, { exitStatus: EXIT.failed, cause });
  }
}

function outputs(
  { output }: Streams,
  channel: Opened | null,
): ['inherit' | 'pipe' | number, 'inherit' | 'pipe' | number] {
  if (typeof output === 'string') return [output, output];
  return channel === null ? ['inherit', 'inherit'] : [channel.stdout, channel.stderr];
}

/** Whom it runs as. @throws {GsupError} when that isn't allowed. */
export function identity(spec: ServiceSpec): { uid?: number; gid?: number } {
  if (spec.user === null && spec.group === null) return {};
  const user = spec.user === null ? null : findUser(spec.user);
  const gid = spec.group === null ? (user?.gid ?? null) : findGroup(spec.group);
  if (process.getuid?.() !== 0 && user !== null && user.uid !== process.getuid?.()) {
    const hint = 'run gsup as root, or remove "user"';
    throw new GsupError(`cannot run as the user ${spec.user}: only root may`, { exitStatus: EXIT.notExecutable, hint });
  }
  return { ...(user === null ? {} : { uid: user.uid }), ...(gid === null ? {} : { gid }) };
}

/** The user that a service runs as; `null`: there is no such user any more. */
export function uidOf(spec: ServiceSpec): number | null {
  try {
    return identity(spec).uid ?? process.getuid?.() ?? null;
  } catch {
    return null;
  }
}

/** Sets the priority; refused is told and harms nothing. */
export function applyNice(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    process.emitWarning(`cannot set nice ${nice} for ${pid}: only root may go below 0`);
  }
}

/** @throws {GsupError} 126 when it can't be entered. */
export function checkCwd(cwd: string): void {
  const stat = statOf(cwd);
  if (stat?.isDirectory()) return;
  const why = stat ? 'is not a directory' : 'does not exist, or may not be entered';
  throw new GsupError(`cannot start in ${cwd}: it ${why}`, { exitStatus: EXIT.notExecutable, hint: 'check "cwd"' });
}

/** Errors of exec that no other try will help, and their exit status; everything else (no memory, no fds) may pass. */
const FINAL_ERRORS: Readonly<Record<string, number>> = {
  ENOENT: EXIT.notFound,
  EACCES: EXIT.notExecutable,
  EPERM: EXIT.notExecutable,
  ENOEXEC: EXIT.notExecutable,
  ENOTDIR: EXIT.notExecutable,
  EISDIR: EXIT.notExecutable,
  E2BIG: EXIT.notExecutable,
  ELOOP: EXIT.notExecutable,
};

/** Why, and the exit status when no other try will help. */
export function spawnFailure(file: string, error: unknown): [string, number | null] {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  const why = WHY[code] ?? code;
  return [`cannot execute ${file}: ${why}`, FINAL_ERRORS[code] ?? null];
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'it, or the interpreter in its first line, is not there',
  EACCES: 'no permission',
  EPERM: 'not permitted',
  ENOEXEC: 'not an executable format',
  E2BIG: 'its arguments and environment are too long',
  EAGAIN: 'too many processes (EAGAIN)',
  ENOMEM: 'not enough memory (ENOMEM)',
  EMFILE: 'too many open files (EMFILE)',
};
