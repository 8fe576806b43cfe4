/** Whether a connection of a check was taken by the instance that is asked about, or by one that shares its socket. */
import type { Socket } from 'node:net';
import { pause } from './pause.ts';

/** True: ours has it. False: another has. `null`: nobody yet, or nobody any more. Asked only of an open connection. */
export type IsOurs = (socket: Socket) => boolean | null;

/** Why a check says nothing about its instance, neither good nor bad. */
export const OTHERS_ANSWER = 'another instance answered';
/** The supervisor has no descriptor left to ask with: says nothing about the instance either. */
export const NOT_ASKED = 'no descriptor is left to ask it';
/** All that listen are held up, ours with them. */
export const NOBODY_TOOK_IT = 'nobody took the connection in time';

const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 100;

/** Looks at once and after 5, 10, 20 … ms, `looks` times, as long as nobody has the connection and it is open. */
export async function takenBy(
  socket: Socket,
  isOurs: IsOurs,
  { looks, signal }: { readonly looks: number; readonly signal: AbortSignal },
): Promise<boolean | null> {
  for (let look = 1, ms = FIRST_LOOK_MS; ; look++, ms = Math.min(2 * ms, LONGEST_LOOK_MS)) {
    const ours = socket.destroyed ? null : isOurs(socket);
    if (ours !== null || look >= looks || socket.destroyed || signal.aborted) return ours;
    await pause(ms, signal);
  }
}

/** Asks, and where another took the connection asks once more, over one that was hunted for. */
export async function untilOursAnswers(
  ask: (over: Socket | null) => Promise<string | null>,
  hunt: () => Promise<Socket | 'others' | 'nobody'>,
  signal: AbortSignal,
): Promise<string | null> {
  const reason = await ask(null);
  if (reason !== OTHERS_ANSWER || signal.aborted) return reason;
  const found = await hunt();
  // Others do take connections: that nobody took these says nothing.
  return typeof found === 'string' ? OTHERS_ANSWER : ask(found);
}
