/** A real HTTP server that answers a check as a test wants it, and counts. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { News } from './news.ts';

/** A status, or what is to be done with the request: nothing is no answer at all. */
type Answer = number | ((response: ServerResponse, request: IncomingMessage) => void);

export class TestServer implements AsyncDisposable {
  /** The moment of each request. */
  readonly requests = new News<number>();
  /** The port of the other side of each connection, and those of them that have ended. */
  readonly connections = new News<number>();
  readonly ended = new News<number>();
  readonly #server: Server;

  private constructor(answers: readonly Answer[]) {
    this.#server = createServer((request, response) => {
      const answer = answers[Math.min(this.requests.all.length, answers.length - 1)] ?? 200;
      if (typeof answer === 'number') response.writeHead(answer).end();
      else answer(response, request);
      this.requests.tell(performance.now());
    });
    this.#server.on('connection', (socket) => {
      const port = socket.remotePort ?? 0;
      this.connections.tell(port);
      socket.once('close', () => this.ended.tell(port));
    });
  }

  /** Gives the answers in this order, and the last one for ever. */
  static async start(...answers: readonly Answer[]): Promise<TestServer> {
    const server = new TestServer(answers);
    await once(server.#server.listen(0, '127.0.0.1'), 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** From then on it refuses. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
