/**
 * A connection that one certain instance has taken, where several share a listening socket: the kernel gives each
 * connection to whoever asks first, and the newest process seldom is the first. So many are opened, a few at a time, until
 * one is ours; the others are closed before a word is said.
 */
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import type { IsOurs } from './ownership.ts';
import { pause } from './pause.ts';

const AT_ONCE = 8;
const ROUNDS = 16;
/** When it is looked who has them, counted from being connected. */
const LOOKS_MS = [0, 2, 5, 15];

export type Target = { readonly host: string; readonly port: number };

/** The connection, or who took all of them; throws when nobody listens. */
export async function huntConnection(
  target: Target,
  isOurs: IsOurs,
  signal: AbortSignal,
): Promise<Socket | 'others' | 'nobody'> {
  let isTaken = false;
  for (let round = 1; round <= ROUNDS && !signal.aborted; round++) {
    const sockets = await openSome(target, signal);
    const found = await pickOurs(sockets, isOurs, signal);
    for (const socket of sockets) if (socket !== found) socket.destroy();
    if (found !== 'others' && found !== 'nobody') return found;
    if (found === 'others') isTaken = true;
    else if (!isTaken) return 'nobody';
    await pause(round, signal);
  }
  return isTaken ? 'others' : 'nobody';
}

/** One in each turn of the loop: each is a race of its own. */
async function openSome({ host, port }: Target, signal: AbortSignal): Promise<readonly Socket[]> {
  const opened: Promise<Socket | Error>[] = [];
  for (let count = 0; count < AT_ONCE; count++) {
    const socket = connect({ host, port });
    socket.on('error', () => {});
    // A failure is heard at once: it may come before all of them are open.
    opened.push(
      once(socket, 'connect', { signal }).then(
        () => socket,
        (error: Error) => {
          socket.destroy();
          return error;
        },
      ),
    );
    await new Promise((resolve) => setImmediate(resolve));
  }
  const settled = await Promise.all(opened);
  const sockets = settled.filter((one) => one instanceof Socket);
  const failure = settled.find((one) => one instanceof Error);
  if (sockets.length === 0 && failure !== undefined) throw failure;
  return sockets;
}

async function pickOurs(
  sockets: readonly Socket[],
  isOurs: IsOurs,
  signal: AbortSignal,
): Promise<Socket | 'others' | 'nobody'> {
  let open = sockets;
  let isTaken = false;
  for (const ms of LOOKS_MS) {
    await pause(ms, signal);
    if (signal.aborted) break;
    const undecided: Socket[] = [];
    for (const socket of open) {
      const ours = socket.destroyed ? false : isOurs(socket);
      if (ours === true) return socket;
      if (ours === null) undecided.push(socket);
      else isTaken = true;
    }
    open = undecided;
    if (open.length === 0) return 'others';
  }
  return isTaken ? 'others' : 'nobody';
}
