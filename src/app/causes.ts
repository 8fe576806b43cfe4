/** The ten common mistakes of a shutdown: recognised by their errors, each with what to do. */
import type { Explanation } from './api.ts';
import { textOf } from './error-text.ts';

type Mistake = Explanation['mistake'];

const ADVICE: Readonly<Record<Mistake, { readonly why: string; readonly todo: string }>> = {
  'task-cancelled': {
    why: 'the task ended because its signal was aborted when the shutdown began',
    todo: 'expected for work that can be repeated; what has to be finished must not pass its signal on',
  },
  'channel-closed': {
    why: 'something was written to a stream or channel that had been closed',
    todo: 'end those who write before what they write to: register the hook of the channel before the hook of its writers',
  },
  'worker-failed': {
    why: 'a worker ended with an error; the others went on',
    todo: 'catch errors inside the loop of the worker and decide there whether it goes on',
  },
  'deadline-elapsed': {
    why: 'it took longer than it was given',
    todo: 'raise the timeout (and the grace period of the supervisor above it), or do less at shutdown',
  },
  'connection-reset': {
    why: 'the other side closed the connection in the middle',
    todo: 'repeat the request when that is safe; check that the other side drains too, and that its keep-alive timeout is the longer one',
  },
  'address-in-use': {
    why: 'another process listens on this address, often an instance that has not ended yet',
    todo: 'find it with "ss -ltnp"; let gsup hold the socket ("sockets" in supervisor.yaml) so that instances can overlap',
  },
  'broken-pipe': {
    why: 'the reader of a pipe or socket had gone',
    todo: 'listen to "error" of the stream, and write logs before the flush phase ends',
  },
  'database-closed-too-early': {
    why: 'the database connection was closed while something still used it',
    todo: 'close it in a hook, registered before the hooks that use it, and run queries in shutdown.run() so that they are awaited',
  },
  'ended-before-tasks': {
    why: 'the deadline came before this work had ended',
    todo: 'let it watch its signal, or raise the timeout above what it needs at most (see suggestedGrace)',
  },
  'handler-registered-twice': {
    why: 'there is more than one of it, and each acts on its own',
    todo: 'register it once, when the app starts; remove other signal handlers that call process.exit()',
  },
};

/** By the `code` of an error. */
const BY_CODE: Readonly<Record<string, Mistake>> = {
  ABORT_ERR: 'task-cancelled',
  ERR_SHUTTING_DOWN: 'task-cancelled',
  ERR_IPC_CHANNEL_CLOSED: 'channel-closed',
  ERR_IPC_DISCONNECTED: 'channel-closed',
  ERR_STREAM_WRITE_AFTER_END: 'channel-closed',
  ERR_STREAM_DESTROYED: 'channel-closed',
  ERR_STREAM_PREMATURE_CLOSE: 'channel-closed',
  ERR_WORKER_OUT_OF_MEMORY: 'worker-failed',
  ERR_WORKER_UNSERIALIZABLE_ERROR: 'worker-failed',
  ETIMEDOUT: 'deadline-elapsed',
  ECONNRESET: 'connection-reset',
  ECONNABORTED: 'connection-reset',
  EADDRINUSE: 'address-in-use',
  EPIPE: 'broken-pipe',
  PROTOCOL_CONNECTION_LOST: 'database-closed-too-early',
  PROTOCOL_ENQUEUE_AFTER_QUIT: 'database-closed-too-early',
  POOL_CLOSED: 'database-closed-too-early',
  P1017: 'database-closed-too-early',
};

/** By the `name` of an error. */
const BY_NAME: Readonly<Record<string, Mistake>> = {
  AbortError: 'task-cancelled',
  TimeoutError: 'deadline-elapsed',
  MongoNotConnectedError: 'database-closed-too-early',
  MongoClientClosedError: 'database-closed-too-early',
  ClientClosedError: 'database-closed-too-early',
};

/** Of errors that say that their work was told to end; ERR_CANCELED and CanceledError are axios'. */
const CANCELLED_CODES: ReadonlySet<string> = new Set(['ABORT_ERR', 'ERR_SHUTTING_DOWN', 'ERR_CANCELED']);
const CANCELLED_NAMES: ReadonlySet<string> = new Set(['AbortError', 'CanceledError']);
/** An error may be its own cause. */
const MOST_CAUSES = 8;

/** What database clients say that have no code for it: pg, mysql2, ioredis, redis, mongodb, knex, sequelize. */
const DATABASE_CLOSED =
  /after calling end on the pool|pool (is|was) (closed|ended|draining|destroyed)|client (was|is) closed|connection (is closed|terminated)|topology is closed|connection manager was closed|connection is not open|closed state/i;

/** `null`: not one of the ten. */
export function recognise(where: string, error: unknown): Explanation | null {
  const mistake = mistakeOf(error);
  if (mistake !== null) return explain(mistake, where);
  return where.startsWith('worker ') ? explain('worker-failed', where) : null;
}

export function explain(mistake: Mistake, where: string): Explanation {
  return { mistake, where, ...ADVICE[mistake] };
}

function mistakeOf(error: unknown): Mistake | null {
  for (const { code, name, message } of causesOf(error)) {
    if (DATABASE_CLOSED.test(message)) return 'database-closed-too-early';
    const found = lookUp(BY_CODE, code) ?? lookUp(BY_NAME, name);
    if (found !== undefined) return found;
  }
  return null;
}

/** Whether an error, or what caused it, is that its work was told to end. */
export function isCancellation(error: unknown): boolean {
  return causesOf(error).some(({ code, name }) => CANCELLED_CODES.has(code) || CANCELLED_NAMES.has(name));
}

type Cause = { readonly code: string; readonly name: string; readonly message: string };

/** An error and what caused it, outermost first; whatever was thrown, this does not throw. */
function causesOf(error: unknown): readonly Cause[] {
  const causes: Cause[] = [];
  try {
    for (let cause = error; cause instanceof Error && causes.length < MOST_CAUSES; cause = cause.cause) {
      const code = 'code' in cause ? textOf(cause.code) : '';
      causes.push({ code, name: textOf(cause.name), message: textOf(cause.message) });
    }
  } catch {
    // A getter of its own that throws: what was read before it counts.
  }
  return causes;
}

function lookUp(table: Readonly<Record<string, Mistake>>, key: string): Mistake | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
