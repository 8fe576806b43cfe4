/** The other side of a server: raw connections whose every byte a test decides, and requests with their whole answer. */
import { once } from 'node:events';
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect } from 'node:net';
import { News } from './news.ts';

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };

/** Listens on a port of its own. */
export async function listening<S extends Server>(server: S): Promise<S> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** One raw connection. */
export class Line implements Disposable {
  readonly socket: Socket;
  readonly #heard = new News<string>();
  readonly #ended = new News<true>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8').on('data', this.#heard.tell);
    socket.on('error', () => {});
    socket.on('close', () => this.#ended.tell(true));
  }

  static async to(port: number): Promise<Line> {
    const socket = connect(port, '127.0.0.1');
    const line = new Line(socket);
    await once(socket, 'connect');
    return line;
  }

  get text(): string {
    return this.#heard.all.join('');
  }

  get isClosed(): boolean {
    return this.#ended.all.length > 0;
  }

  say(text: string): void {
    this.socket.write(text);
  }

  /** A request that leaves the connection open. */
  get(path: string): void {
    this.say(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
  }

  async heard(part: string): Promise<void> {
    await this.#heard.until(() => this.text.includes(part));
  }

  async closed(): Promise<void> {
    await this.#ended.until((all) => all.length > 0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** The whole answer to a GET; rejects when the connection breaks. */
export function get(port: number, path = '/', { agent, isSecure = false }: { agent?: Agent; isSecure?: boolean } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const options = { port, path, host: '127.0.0.1', agent: agent ?? false, rejectUnauthorized: false };
    const asked = (isSecure ? secureRequest : request)(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}
