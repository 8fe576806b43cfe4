/** The signals and the other ends of this process: captured once, however many shutdowns (and copies of this library) there are. */
import type { Trigger } from './api.ts';
import { textOf } from './error-text.ts';

/** A shutdown, as the others know it. */
export type Participant = {
  readonly signals: readonly NodeJS.Signals[];
  /** Whether errors that nobody caught begin it. */
  readonly takesErrors: boolean;
  /**
   * Begins it, or joins it; the exit status, or `null` when the process is to go on. `agoMs`: how long ago the shutdown of
   * the process began, whose deadline it has.
   */
  begin(trigger: Trigger, reason: string, agoMs?: number): Promise<number | null>;
  /** An error that nobody caught. */
  note(error: unknown): void;
  /** The process ends now. */
  abandon(reason: string): void;
};

type Registry = {
  /** Returns what takes it out again. */
  join(participant: Participant): () => void;
  /** Begins all of them, and ends the process afterwards. */
  begin(trigger: Trigger, reason: string): void;
};
export type Capture = {
  /** Begins every shutdown of the process, and ends it afterwards. */
  beginAll(trigger: Trigger, reason: string): void;
  release(): void;
};

/** The same in every copy of the library that understands this Registry. */
const PLACE = Symbol.for('gsup/app signals 1');
const FORCED = 130;
/** For what hooks leave behind when the process ends by itself. */
const LEFTOVERS_MS = 100;

export function captureSignals(participant: Participant): Capture {
  const world = globalThis as { [PLACE]?: Registry };
  world[PLACE] ??= createRegistry();
  const registry = world[PLACE];
  return { beginAll: registry.begin, release: registry.join(participant) };
}

function createRegistry(): Registry {
  const participants = new Set<Participant>();
  const listening = new Map<NodeJS.Signals, () => void>();
  let sigints = 0;
  let isLeaving = false;
  /** What the shutdown of the process began with, and when. */
  let underWay: { readonly trigger: Trigger; readonly reason: string; readonly at: number } | null = null;

  const beginOne = async (one: Participant, trigger: Trigger, reason: string): Promise<number | null> =>
    one.begin(trigger, reason, underWay === null ? 0 : performance.now() - underWay.at);
  const beginAll = async (trigger: Trigger, reason: string): Promise<void> => {
    underWay ??= { trigger, reason, at: performance.now() };
    const begun = new Set<Participant>();
    const codes: (number | null)[] = [];
    // Those who come meanwhile are waited for too.
    for (let fresh = [...participants]; fresh.length > 0; fresh = [...participants].filter((one) => !begun.has(one))) {
      for (const one of fresh) begun.add(one);
      codes.push(...(await Promise.all(fresh.map((one) => beginOne(one, trigger, reason)))));
    }
    underWay = null;
    const wanted = codes.filter((code) => code !== null);
    if (isLeaving || wanted.length === 0) return;
    isLeaving = true;
    leave(trigger, Math.max(...wanted, Number(process.exitCode ?? 0)));
  };
  const joinUnderWay = (one: Participant): void => {
    if (underWay !== null && participants.has(one)) void beginOne(one, underWay.trigger, underWay.reason);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGINT') sigints += 1;
    if (sigints < 2 || signal !== 'SIGINT') void beginAll({ kind: 'signal', signal }, signal);
    else {
      for (const one of participants) one.abandon('second SIGINT');
      process.exit(FORCED);
    }
  };
  const onError = (error: unknown): void => {
    for (const one of participants) one.note(error);
    void beginAll({ kind: 'error', error: textOf(error) }, 'uncaught error');
  };
  const onRejection = (error: unknown): void => onError(error);
  const onEnd = (): void => void (isLeaving || beginAll({ kind: 'end' }, 'nothing left to do'));
  const onMessage = (message: unknown): void => {
    if (message === 'shutdown') void beginAll({ kind: 'message' }, 'message shutdown');
  };

  const listen = (signal: NodeJS.Signals): void => {
    if (listening.has(signal)) return;
    const listener = (): void => onSignal(signal);
    listening.set(signal, listener);
    process.on(signal, listener);
  };
  /** Listens to what the participants of now need, and to nothing else. */
  const settle = (): void => {
    const needed = new Set([...participants].flatMap(({ signals }) => signals));
    for (const signal of needed) listen(signal);
    for (const [signal, listener] of [...listening]) {
      if (needed.has(signal)) continue;
      listening.delete(signal);
      process.off(signal, listener);
    }
    const takesErrors = [...participants].some((one) => one.takesErrors);
    toggle('uncaughtException', onError, takesErrors);
    toggle('unhandledRejection', onRejection, takesErrors);
    toggle('beforeExit', onEnd, participants.size > 0);
    toggleMessages(onMessage, participants.size > 0);
  };
  return {
    begin: (trigger, reason) => void beginAll(trigger, reason),
    join: (participant) => {
      participants.add(participant);
      settle();
      // What its creator registers in the same breath comes before its beginning.
      if (underWay !== null) queueMicrotask(() => joinUnderWay(participant));
      return () => {
        participants.delete(participant);
        settle();
      };
    },
  };
}

function leave({ kind }: Trigger, code: number): void {
  if (kind !== 'end' || code > 0) process.exit(code);
  // Ending by itself, Node finds and shows a top-level await that never came, and makes it 13.
  setTimeout(() => process.exit(), LEFTOVERS_MS).unref();
}

function toggle(event: string, listener: (value: unknown) => void, isOn: boolean): void {
  if (isOn && !process.listeners(event as 'exit').includes(listener)) process.on(event, listener);
  if (!isOn) process.off(event, listener);
}

/** A listener of messages keeps the process alive, unless it is counted out again. */
function toggleMessages(listener: (message: unknown) => void, isOn: boolean): void {
  const channel = process.channel as { refCounted?(): void; unrefCounted?(): void; unref?(): void } | null | undefined;
  const isThere = process.listeners('message').includes(listener);
  if (isOn === isThere || (isOn && !channel)) return;
  if (isOn) {
    process.on('message', listener);
    if (channel?.unrefCounted) channel.unrefCounted();
    else channel?.unref?.();
  } else {
    channel?.refCounted?.();
    process.off('message', listener);
  }
}
