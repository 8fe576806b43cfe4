/** `gsup top` while it runs: news and keys change the state, the state is drawn, asked for, and followed. */
import type { Client } from '../../api/client.ts';
import type { OperationLine } from '../../api/types.ts';
import { isGsupError } from '../../core/error.ts';
import { recordMessage } from '../../core/record.ts';
import type { Colour } from '../../view/colour.ts';
import { topFrame } from '../../view/top.ts';
import {
  listed,
  logCleared,
  logged,
  logTarget,
  lost,
  settled,
  type TopState,
  told,
  type Verb,
} from '../../view/top-state.ts';
import { isNamed } from '../named-views.ts';
import { KeyReader } from './keys.ts';
import { press, type TopAction } from './press.ts';
import type { Screen } from './screen.ts';
import { listen, stopOwnGroup } from './signals.ts';
import { Tail } from './tail.ts';

const FRAME_EVERY_MS = 100;
/** For a daemon that is there to answer. */
const ANSWER_WAIT_MS = 5_000;
/** An Escape that nothing follows is the key; over a slow line the rest of a sequence may come apart. */
const ESCAPE_WAIT_MS = 50;

export type SessionOptions = {
  readonly client: Client;
  readonly screen: Screen;
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly colour: boolean;
  /** Of services or instances; empty: all. */
  readonly names: readonly string[];
  readonly first: TopState;
};

/** Resolves with the exit status when it is left; the terminal is as it was then. */
export async function runTop(options: SessionOptions): Promise<number> {
  using session = new Session(options);
  return await session.ended;
}

class Session implements Disposable {
  readonly ended: Promise<number>;
  readonly #options: SessionOptions;
  readonly #tail: Tail;
  readonly #keys = new KeyReader();
  readonly #abort = new AbortController();
  readonly #unlisten: () => void;
  #state: TopState;
  #end: (status: number) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  #frame: NodeJS.Timeout | null = null;
  #drawnAt = 0;
  #escape: NodeJS.Timeout | null = null;
  #next: NodeJS.Timeout | null = null;
  #isAsking = false;

  constructor(options: SessionOptions) {
    const { client, names, first } = options;
    this.#options = options;
    this.#state = first;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    this.#tail = new Tail({
      client,
      names: names.length === 0 ? null : names,
      onLines: (entries, isFirst) => {
        const state = isFirst ? logCleared(this.#state) : this.#state;
        this.#change(logged(state, entries));
      },
      onFailure: this.#fail,
    });
    this.#unlisten = listen({
      onEnd: this.#end,
      onStop: () => this.#suspend(),
      onContinue: () => this.#resume(),
    });
    this.#begin();
  }

  #begin(): void {
    const { screen, input, output, first } = this.#options;
    // A bug must not leave a terminal that can't be typed into; it is told on the screen that was there before.
    process.once('uncaughtExceptionMonitor', this.#leave).once('exit', this.#leave);
    screen.enter();
    input.setEncoding('utf8').on('data', this.#onText).on('end', this.#onGone).on('error', this.#onGone);
    output.on('resize', this.#onResize).on('drain', this.#onDrain);
    this.#change(first);
    this.#ask();
  }

  [Symbol.dispose](): void {
    const { input, output } = this.#options;
    this.#abort.abort();
    this.#tail.close();
    this.#unlisten();
    for (const timer of [this.#frame, this.#escape, this.#next]) if (timer !== null) clearTimeout(timer);
    input.off('data', this.#onText).off('end', this.#onGone).pause();
    output.off('resize', this.#onResize).off('drain', this.#onDrain);
    this.#leave();
    process.off('uncaughtExceptionMonitor', this.#leave).off('exit', this.#leave);
  }

  readonly #leave = (): void => this.#options.screen.leave();
  readonly #onGone = (): void => this.#end(129);
  readonly #onDrain = (): void => this.#draw();
  readonly #onResize = (): void => {
    this.#options.screen.forget();
    this.#change(this.#state);
  };

  readonly #onText = (text: string): void => {
    if (this.#escape !== null) clearTimeout(this.#escape);
    this.#escape = null;
    this.#pressed(this.#keys.read(text));
    if (this.#keys.isWaiting) this.#escape = setTimeout(() => this.#pressed(this.#keys.flush()), ESCAPE_WAIT_MS);
  };

  #pressed(keys: readonly string[]): void {
    for (const key of keys) {
      const { state, action } = press(this.#state, key, this.#options.screen.size);
      this.#change(state);
      if (action !== null) this.#act(action);
    }
  }

  #act(action: TopAction): void {
    switch (action.kind) {
      case 'quit':
        this.#end(0);
        break;
      case 'suspend':
        this.#suspend();
        break;
      case 'redraw':
        this.#onResize();
        break;
      case 'operate':
        void this.#operate(action.verb, action.name).catch(this.#fail);
    }
  }

  #change(state: TopState): void {
    this.#state = settled(state, this.#options.screen.size);
    if (!this.#options.screen.isEntered) return;
    this.#tail.follow(logTarget(this.#state));
    this.#frame ??= setTimeout(() => this.#draw(), Math.max(0, this.#drawnAt + FRAME_EVERY_MS - performance.now()));
  }

  #draw(): void {
    if (this.#frame !== null) clearTimeout(this.#frame);
    this.#frame = null;
    const { screen, colour } = this.#options;
    const now = Date.now();
    this.#drawnAt = performance.now();
    screen.draw(topFrame(this.#state, { ...screen.size, colour, now }));
  }

  /** Asks the daemon, and again an interval after its answer. */
  #ask(): void {
    if (this.#next !== null) clearTimeout(this.#next);
    this.#next = null;
    if (this.#isAsking || !this.#options.screen.isEntered) return;
    this.#isAsking = true;
    const done = this.#look().finally(() => {
      this.#isAsking = false;
      if (!this.#abort.signal.aborted && this.#options.screen.isEntered)
        this.#next = setTimeout(() => this.#ask(), this.#state.intervalMs);
    });
    void done.catch(this.#fail);
  }

  async #look(): Promise<void> {
    const { client, names } = this.#options;
    const limit = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(ANSWER_WAIT_MS)]);
    try {
      const all = await client.list({ usage: 'true' }, limit);
      this.#change(listed(this.#state, names.length === 0 ? all : all.filter((view) => isNamed(view, names))));
      this.#tail.reopen();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (!isGsupError(error) && !limit.aborted) throw error;
      this.#change(lost(this.#state, isGsupError(error) ? error.message : 'the daemon does not answer'));
    }
  }

  async #operate(verb: Verb, name: string): Promise<void> {
    this.#tell(`${verb} ${name}`, null);
    try {
      for await (const line of this.#options.client[verb]({ names: [name] }, this.#abort.signal)) this.#show(line);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (!isGsupError(error)) throw error;
      this.#tell(`${verb} ${name}: ${error.message}`, 'red');
    }
    this.#ask();
  }

  #show(line: OperationLine): void {
    if (line.type === 'record') {
      const { record } = line;
      this.#tell(`${record.instance ?? record.service ?? 'gsup'}  ${recordMessage(record)}`, null);
    } else if (line.type === 'result') {
      const failed = line.outcomes.find(({ isOk }) => !isOk);
      const outcome = failed ?? line.outcomes.at(-1);
      const text = line.error ?? (outcome === undefined ? 'done' : `${outcome.instance}  ${outcome.message}`);
      this.#tell(text, line.exitStatus === 0 ? 'green' : 'red');
    }
  }

  #tell(text: string, colour: Colour | null): void {
    this.#change(told(this.#state, text, colour, Date.now()));
  }

  /** The shell has the terminal; nobody looks, so nothing is asked. */
  #suspend(): void {
    this.#options.screen.leave();
    this.#tail.close();
    stopOwnGroup(() => this.#resume());
  }

  #resume(): void {
    if (this.#abort.signal.aborted) return;
    this.#options.screen.enter();
    this.#change(this.#state);
    this.#ask();
  }
}
