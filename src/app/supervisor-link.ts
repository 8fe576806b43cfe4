/** The link to gsup: one connection of the process, that never keeps it alive and whose failures are nobody's trouble. */
import type { Socket } from 'node:net';

const RETRY_MS = { first: 100, last: 5000 };
/** How long the end waits until the supervisor has read everything. */
const LAST_WORDS_MS = 250;
const LONGEST_LINE = 64 * 1024;

export type LinkListener = {
  /** The supervisor stops the app. */
  stop(deadlineMs: number, reason: string): void;
  /** It wants to know what is pending. */
  asked(): void;
  /** The link stands, for the first time or again: it knows nothing yet. */
  connected(): void;
};

export type SupervisorLink = {
  /** Nothing, while it isn't connected. */
  send(message: Readonly<Record<string, unknown>>): void;
  /** The supervisor has to hear of what comes now: no waiting before it is tried again. */
  hurry(): void;
  /** Resolves when everything that was sent has been read, or soon after. */
  lastWords(): Promise<void>;
  close(): void;
};

const NO_LINK: SupervisorLink = { send: () => {}, hurry: () => {}, lastWords: async () => {}, close: () => {} };
/** A supervisor keeps one connection of an app: the last. */
let shared: { readonly link: SharedLink; readonly path: string } | null = null;

/** The link of this process; without gsup one that does nothing. */
export function joinLink(environment: NodeJS.ProcessEnv, listener: LinkListener): SupervisorLink {
  const { GSUP_LINK: path, GSUP_ID: id } = environment;
  if (!path || !id) return NO_LINK;
  if (shared?.path !== path || shared.link.isClosed) shared = { path, link: new SharedLink(path, id) };
  return shared.link.join(listener);
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
    // Only apps under gsup need it, and before they have a server they have not loaded it.
    const { connect } = await import('node:net');
    if (this.isClosed) return;
    const socket = connect(this.#path);
    this.#socket = socket;
    socket.unref();
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('connect', () => {
      this.#isConnected = true;
      this.#send({ type: 'hello', id: this.#id });
      for (const listener of this.#listeners) listener.connected();
    });
    let rest = '';
    socket.on('data', (text: string) => {
      this.#retryMs = RETRY_MS.first;
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LONGEST_LINE) socket.destroy();
      for (const line of lines) this.#hear(line);
    });
    socket.on('close', () => {
      this.#isConnected = false;
      if (!this.isClosed) this.#retry();
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
    for (const listener of [...this.#listeners]) {
      if (type === 'pending?') listener.asked();
      if (type === 'stop' && typeof deadlineMs === 'number') listener.stop(deadlineMs, String(reason ?? 'supervisor'));
    }
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    if (this.#isConnected) this.#socket?.write(`${JSON.stringify(message)}\n`);
  }

  /** The supervisor's end of the connection comes after it has read all of ours. */
  async #lastWords(): Promise<void> {
    const socket = this.#socket;
    if (socket === null || !this.#isConnected) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LAST_WORDS_MS);
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
