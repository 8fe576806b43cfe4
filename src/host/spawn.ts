/** Starts a process as a spec wants it: session, streams, user, umask, nice; and tells why one could not be started. */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { EXIT, GsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { OutputChannel, Streams } from './host.ts';
import { identityOf } from './identity.ts';
import type { Command } from './interpreter.ts';
import { type Child, spawnNative } from './native-child.ts';
import { rightsOf } from './rights.ts';
import { folderRights, startAs } from './start-as.ts';

/** How a child's descriptors are laid: its streams, and from 3 on what else it gets. */
type Laid = { readonly streams: Streams; readonly others: readonly ('ipc' | 'ignore' | number)[] };

/** Spawns it. @throws {GsupError} whose exit status is 126 or 127 when no other try will help. */
export function startProcess(
  spec: ServiceSpec,
  command: Pick<Command, 'file' | 'args'>,
  env: Readonly<Record<string, string>>,
  { streams, others }: Laid,
): Child {
  const channel = typeof streams.output === 'string' ? null : openChannel(streams.output, spec);
  const place = { cwd: spec.cwd, env, stdio: [streams.stdin, ...outputs(streams, channel), ...others] };
  try {
    return startAs(spec, (ids) => {
      // Who must become another user, or is in our terminal or channel, needs Node's way.
      const isPlain = channel !== null && ids.uid === undefined && ids.gid === undefined && !streams.isInTerminal;
      const child = isPlain ? spawnNative({ ...command, ...place }) : null;
      return child ?? spawn(command.file, command.args, { ...place, detached: !streams.isInTerminal, ...ids });
    });
  } catch (error) {
    const [reason, exitStatus] = spawnFailure(command.file, error);
    throw new GsupError(reason, { exitStatus: exitStatus ?? EXIT.failed, cause: error });
  } finally {
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

/** Sets the priority; refused is told and harms nothing. */
export function applyNice(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    process.emitWarning(`cannot set nice ${nice} for ${pid}: only root may go below 0`);
  }
}

/** @throws {GsupError} 126 if the user of the service can't enter its folder. */
export function checkCwd(spec: Pick<ServiceSpec, 'cwd' | 'user' | 'group'>): void {
  const { cwd, user } = spec;
  if (folderRights(spec) !== null) return;
  const rights = rightsOf(identityOf(spec));
  const stat = rights.stat(cwd);
  const denied = user === null ? 'it may not be entered' : `the user ${user} may not enter it`;
  const why = stat === null ? `it does not exist, or ${denied}` : stat.isDirectory() ? denied : 'it is not a directory';
  throw new GsupError(`cannot start in ${cwd}: ${why}`, { exitStatus: EXIT.notExecutable, hint: 'check "cwd"' });
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
