/** Puppets: copies of fixtures/puppet.mjs that dial the test's socket and do as it tells them. */
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { Folder } from './gsup.ts';

const CEILING_MS = 15_000;

type Message = { type: string; id?: number; [key: string]: unknown };
type Hello = { name: string; pid: number; argv: string[]; cwd: string; env: Record<string, string> };
type SignalAct = { act: 'ignore' | 'report'; signal: NodeJS.Signals };
export type Act =
  | SignalAct
  | { act: 'print'; text: string; stream?: 'stdout' | 'stderr' }
  | { act: 'fork'; name: string; isDetached?: boolean }
  | { act: 'listen'; port?: number }
  | { act: 'exit'; code?: number }
  | { act: 'hang' };

/** One process that obeys. */
export class Puppet {
  readonly #socket: Socket;
  readonly #inbox: Inbox<Message>;
  readonly hello: Hello;
  #asked = 0;

  constructor(socket: Socket, inbox: Inbox<Message>, hello: Hello) {
    this.#socket = socket;
    this.#inbox = inbox;
    this.hello = hello;
  }

  get pid(): number {
    return this.hello.pid;
  }

  /** Resolves with its answer when it has done it. */
  async send(act: Act): Promise<Message> {
    const id = ++this.#asked;
    this.#socket.write(`${JSON.stringify({ id, ...act })}\n`);
    return this.#inbox.take(`${this.hello.name} to do ${act.act}`, (one) => one.type === 'done' && one.id === id);
  }

  /** Resolves when it says that it got this signal. */
  async heard(signal: NodeJS.Signals): Promise<void> {
    await this.#inbox.take(
      `${this.hello.name} to hear ${signal}`,
      (one) => one.type === 'signal' && one['signal'] === signal,
    );
  }

  /** Signals it has told of and nobody has waited for. */
  get unexpected(): readonly unknown[] {
    return this.#inbox.waiting.filter(({ type }) => type === 'signal').map((one) => one['signal']);
  }
}

/** The test's side: the socket that puppets dial. */
export class Stage implements AsyncDisposable {
  readonly #folder = new Folder();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #arrived = new Inbox<Puppet>();
  readonly #listening: Promise<void>;

  constructor() {
    this.#server = createServer((socket) => this.#welcome(socket));
    this.#listening = new Promise((listening) => this.#server.listen(this.#path, () => listening()));
  }

  /** What a puppet needs in its environment; resolves when the socket is there. */
  async environment(): Promise<Record<string, string>> {
    await this.#listening;
    return { PUPPET_SOCKET: this.#path };
  }

  /** The puppet of this name, as soon as it has said hello; each is given out once. */
  async connected(name = 'leader'): Promise<Puppet> {
    return this.#arrived.take(`the puppet ${name}`, ({ hello }) => hello.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => this.#server.close(closed));
    this.#folder[Symbol.dispose]();
  }

  get #path(): string {
    return join(this.#folder.path, 'stage.sock');
  }

  #welcome(socket: Socket): void {
    const inbox = new Inbox<Message>();
    let rest = '';
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const message: Message = JSON.parse(line);
        if (isHello(message)) this.#arrived.put(new Puppet(socket, inbox, message));
        else inbox.put(message);
      }
    });
  }
}

function isHello(message: Message): message is Message & Hello {
  return message.type === 'hello';
}

/** What has come and what is waited for. */
class Inbox<T> {
  readonly #messages: T[] = [];
  readonly #looks = new Set<() => void>();

  get waiting(): readonly T[] {
    return this.#messages;
  }

  put(message: T): void {
    this.#messages.push(message);
    for (const look of [...this.#looks]) look();
  }

  /** The first that matches, taken out. */
  take(what: string, matches: (message: T) => boolean): Promise<T> {
    return new Promise((found, fail) => {
      const look = (): void => {
        const index = this.#messages.findIndex(matches);
        if (index < 0) return;
        clearTimeout(timer);
        this.#looks.delete(look);
        for (const message of this.#messages.splice(index, 1)) found(message);
      };
      const timer = setTimeout(() => {
        this.#looks.delete(look);
        fail(new Error(`waited in vain for ${what}; what came: ${JSON.stringify(this.#messages)}`));
      }, CEILING_MS);
      this.#looks.add(look);
      look();
    });
  }
}
