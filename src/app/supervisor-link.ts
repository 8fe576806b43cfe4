/** The link to gsup: one connection of the process, that never keeps it alive and whose failures are nobody's trouble. */
import type { Socket } from 'node:net';

/** The first ones soon: gsup may open its link a moment after it has started the app, and a child must not be there before. */
const RETRY_MS = { first: 10, last: 5000 };
/** A connection that stood so long was no mistake: the next one is tried at once. */
const SOUND_AFTER_MS = 5000;
/** How long the end waits until the supervisor has read everything. */
const LAST_WORDS_MS = 250;
/** A line longer than this is none of ours. */
const LONGEST_LINE = 64 * 1024;
/** The link of this process, in every copy of the library that understands this SharedLink. */
const PLACE = Symbol.for('gsup/app link 1');

export type LinkListener = {
  /** The supervisor stops the app; without a deadline that is a number, in its own time. */
  stop(deadlineMs: number | null, reason: string): void;
  /** It wants to know what is pending. */
  asked(): void;
  /** The link stands, for the first time or again: it knows nothing yet. */
  connected(): void;
};

export type SupervisorLink = {
  /** Nothing, while it isn't connected; whether it is. */
  send(message: Readonly<Record<string, unknown>>): boolean;
  /** The supervisor has to hear of what comes now: no waiting before it is tried again. */
  hurry(): void;
  /** Resolves when everything that was sent has been read, or soon after. */
  lastWords(): Promise<void>;
  close(): void;
};

const NO_LINK: SupervisorLink = { send: () => true, hurry: () => {}, lastWords: async () => {}, close: () => {} };

/** The link of this process; without gsup one that does nothing. */
export function joinLink(environment: NodeJS.ProcessEnv, listener: LinkListener): SupervisorLink {
  const { GSUP_LINK: path, GSUP_ID: id } = environment;
  if (!path || !id) return NO_LINK;
  const world = globalThis as { [PLACE]?: { readonly link: SharedLink; readonly path: string } };
  const shared = world[PLACE];
  if (shared?.path === path && !shared.link.isClosed) return shared.link.join(listener);
  const link = new SharedLink(path, id);
  world[PLACE] = { path, link };
  return link.join(listener);
}

class SharedLink {
  readonly #path: string;
  readonly #id: string;
  readonly #listeners = new Set<LinkListener>();
  #socket: Socket | null = null;
  #isConnected = false;
  #retryMs = RETRY_MS.first;
  #retrying: NodeJS.Timeout | undefined;
  #isHurrying = false;
  isClosed = false;

  constructor(path: string, id: string) {
    this.#path = path;
    this.#id = id;
    this.#connect().catch(() => {});
  }

  join(listener: LinkListener): SupervisorLink {
    this.#listeners.add(listener);
    if (this.#isConnected) queueMicrotask(listener.connected);
    return {
      send: (message) => this.#send(message),
      hurry: () => this.#hurry(),
      lastWords: async () => {
        if (!this.#isConnected) await this.#reach();
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) await this.#lastWords();
      },
      close: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) this.#close();
      },
    };
  }

  async #connect(): Promise<void> {
    this.#retrying = undefined;
    // Only apps under gsup need them, and before they have a server they have not loaded them.
    const [{ connect }, { isMainThread }] = await Promise.all([import('node:net'), import('node:worker_threads')]);
    // A thread is stopped by the thread that began it, and is not the app.
    if (!isMainThread) this.isClosed = true;
    if (this.isClosed) return;
    const socket = connect(this.#path);
    this.#socket = socket;
    socket.unref();
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('connect', () => {
      this.#isConnected = true;
      connectedAt = performance.now();
      // Its children have the id too: by the pid gsup tells them from the app.
      this.#send({ type: 'hello', id: this.#id, pid: process.pid });
      for (const listener of this.#listeners) listener.connected();
    });
    let connectedAt = Number.POSITIVE_INFINITY;
    let rest = '';
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LONGEST_LINE) socket.destroy();
      for (const line of lines) this.#hear(line);
    });
    socket.on('close', () => {
      this.#isConnected = false;
      if (performance.now() - connectedAt >= SOUND_AFTER_MS) this.#retryMs = RETRY_MS.first;
      if (!this.isClosed) this.#retry();
    });
  }

  /** Tried once more, at once: nothing of a shutdown that was over before the link stood has been told yet. */
  async #reach(): Promise<void> {
    if (this.isClosed) return;
    if (this.#retrying !== undefined) {
      clearTimeout(this.#retrying);
      this.#retrying = undefined;
      await this.#connect().catch(() => {});
    }
    const socket = this.#socket;
    if (socket === null || !socket.connecting) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LAST_WORDS_MS);
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      socket.once('connect', end);
      socket.once('close', end);
      socket.ref();
    });
  }

  #retry(): void {
    this.#retrying = setTimeout(() => void this.#connect().catch(() => {}), this.#retryMs).unref();
    this.#retryMs = Math.min(this.#retryMs * 2, this.#isHurrying ? RETRY_MS.first : RETRY_MS.last);
  }

  #hurry(): void {
    this.#isHurrying = true;
    this.#retryMs = RETRY_MS.first;
    if (this.#retrying === undefined) return;
    clearTimeout(this.#retrying);
    this.#retrying = undefined;
    this.#connect().catch(() => {});
  }

  #hear(line: string): void {
    const message = parse(line);
    if (message === null) return;
    const { type, deadlineMs, reason } = message;
    if (typeof type === 'string') this.#retryMs = RETRY_MS.first;
    // JSON has numbers that are infinite: 1e999.
    const ms = typeof deadlineMs === 'number' && Number.isFinite(deadlineMs) ? deadlineMs : null;
    for (const listener of [...this.#listeners]) {
      if (type === 'pending?') listener.asked();
      if (type === 'stop') listener.stop(ms, typeof reason === 'string' ? reason : 'supervisor');
    }
  }

  #send(message: Readonly<Record<string, unknown>>): boolean {
    // A write after the last words is an error, and an error closes: before the supervisor has read them, perhaps.
    if (!this.#isConnected || this.#socket?.writableEnded !== false) return false;
    this.#socket.write(`${JSON.stringify(message)}\n`);
    return true;
  }

  /** The supervisor's end of the connection comes after it has read all of ours. */
  async #lastWords(): Promise<void> {
    const socket = this.#socket;
    if (socket === null || !this.#isConnected) return;
    await new Promise<void>((resolve) => {
      // One that does not hang up must not keep the process.
      const timer = setTimeout(() => socket.destroy(), LAST_WORDS_MS);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.isClosed = true;
      socket.ref();
      socket.end();
    });
  }

  #close(): void {
    this.isClosed = true;
    this.#socket?.destroySoon();
  }
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
