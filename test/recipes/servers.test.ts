import { once } from 'node:events';
import { connect } from 'node:http2';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { get, Line } from '../kit/client.ts';
import { News } from '../kit/news.ts';
import { Backend, PHASES, Program, WAYS } from './program.ts';

const SHUTDOWN = PHASES.map((phase) => `[${phase}]`);
const UPLOAD = 'POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n';

/** An upload that the program has begun to read; the rest is up to the test. */
async function uploading(port: number): Promise<Line> {
  const line = await Line.to(port);
  line.say(UPLOAD);
  await line.heard('100 Continue');
  line.say('abc');
  return line;
}

/** A long poll that the program has begun to answer. */
async function polling(port: number): Promise<Line> {
  const line = await Line.to(port);
  line.say('GET /poll HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n\r\n');
  await line.heard('100 Continue');
  return line;
}

/** A connection that was used and is kept. */
async function idle(port: number): Promise<Line> {
  const line = await Line.to(port);
  line.get('/readyz');
  await line.heard('{"status":"ready","ready":true}');
  return line;
}

describe.each(WAYS)('%s', (way) => {
  test.concurrent('http: an upload that has begun is answered, an idle connection is closed', async () => {
    await using program = new Program('http.mjs', way);
    const port = await program.port();
    using kept = await idle(port);
    using upload = await uploading(port);
    await program.stop();
    await program.entered('waiting');
    await kept.closed();
    upload.say('def');
    await upload.heard('6 bytes');
    expect(upload.text).toContain('Connection: close');
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('commonjs: the same by require()', async () => {
    await using program = new Program('commonjs.cjs', way);
    const port = await program.port();
    using kept = await idle(port);
    using upload = await uploading(port);
    await program.stop();
    await program.entered('waiting');
    await kept.closed();
    upload.say('def');
    await upload.heard('stored');
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent.each(['express.mjs', 'koa.mjs'])('%s: a request in flight gets its answer', async (name) => {
    await using backend = await Backend.open();
    await using program = new Program(name, way, backend.env);
    const port = await program.port();
    using kept = await idle(port);
    const answer = get(port, '/price');
    await backend.asked('/price');
    await program.stop();
    await program.entered('waiting');
    await kept.closed();
    await backend.answer('/price', '42');
    expect(await answer).toMatchObject({ status: 200, body: '42', headers: { connection: 'close' } });
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('fastify: a request in flight gets its answer before the hooks of Fastify run', async () => {
    await using backend = await Backend.open();
    await using program = new Program('fastify.mjs', way, backend.env);
    const port = await program.port();
    using kept = await idle(port);
    const answer = get(port, '/price');
    await backend.asked('/price');
    await program.stop();
    await program.entered('waiting');
    await kept.closed();
    await backend.answer('/price', '42');
    expect(await answer).toMatchObject({ status: 200, body: '42', headers: { connection: 'close' } });
    await program.ended();
    const [draining, closingServers, waiting, persisting, closing, flushing] = SHUTDOWN;
    const before = ['port', draining, closingServers, waiting, persisting, closing];
    expect(program.story()).toEqual([...before, 'plugins closed', flushing, '[report]']);
  });

  test.concurrent('handler: a page that is being made is sent before the framework is closed', async () => {
    await using backend = await Backend.open();
    await using program = new Program('handler.mjs', way, backend.env);
    const port = await program.port();
    using kept = await idle(port);
    const answer = get(port, '/');
    await backend.asked('/page');
    await program.stop();
    await program.entered('waiting');
    await kept.closed();
    await backend.answer('/page', '<h1>hello</h1>');
    expect(await answer).toMatchObject({ status: 200, body: '<h1>hello</h1>' });
    await program.ended();
    expect(program.story().slice(-4)).toEqual(['[closing]', 'next closed', '[flushing]', '[report]']);
  });

  test.concurrent('hidden-server: a page of a framework that listens itself is sent too', async () => {
    await using backend = await Backend.open();
    await using program = new Program('hidden-server.mjs', way, backend.env);
    const answer = get(await program.port());
    await backend.asked('/page');
    await program.stop();
    await program.entered('waiting');
    await backend.answer('/page', '<h1>hello</h1>');
    const connection = { connection: 'close' };
    expect(await answer).toMatchObject({ status: 200, body: '<h1>hello</h1>', headers: connection });
    const report = await program.ended();
    expect(report.explanations).toEqual([]);
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('http2: a stream that has begun is answered after GOAWAY', async () => {
    await using program = new Program('http2.mjs', way);
    const session = connect(`http://127.0.0.1:${await program.port()}`);
    const stream = session.request({ ':method': 'POST', ':path': '/', expect: '100-continue' });
    let body = '';
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    await once(stream, 'continue');
    stream.write('abc');
    const goaway = once(session, 'goaway');
    const closed = once(session, 'close');
    await program.stop();
    await goaway;
    await program.entered('waiting');
    stream.end('def');
    await once(stream, 'end');
    expect(body).toBe('6 bytes\n');
    await closed;
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('net: a transaction that has begun is committed, and everybody is told BYE', async () => {
    await using program = new Program('net.mjs', way);
    const port = await program.port();
    using busy = await Line.to(port);
    busy.say('BEGIN\none\n');
    await busy.heard('GO ON\n');
    using quiet = await Line.to(port);
    quiet.say('BEGIN\nCOMMIT\n');
    await quiet.heard('STORED 0\n');
    await program.stop();
    await quiet.heard('BYE\n');
    await quiet.closed();
    await program.entered('waiting');
    busy.say('two\nCOMMIT\n');
    await busy.heard('STORED 2\nBYE\n');
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('ws: a client gets the answer to what it has asked for, and then close 1001', async () => {
    await using backend = await Backend.open();
    await using program = new Program('ws.mjs', way, backend.env);
    const port = await program.port();
    const quiet = await Client.to(port);
    const busy = await Client.to(port);
    busy.send('price');
    await backend.asked('/price');
    await program.stop();
    await quiet.heard('closed 1001 the server restarts');
    await program.entered('waiting');
    await backend.answer('/price', '42');
    await busy.heard('closed 1001 the server restarts');
    expect(busy.story).toEqual(['42', 'closed 1001 the server restarts']);
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('ws-broadcast: every client gets what was sent, and then close 1001', async () => {
    await using program = new Program('ws-broadcast.mjs', way);
    const port = await program.port();
    const clients = await Promise.all([Client.to(port), Client.to(port)]);
    clients[0].send('hello');
    for (const client of clients) await client.heard('hello');
    await program.stop();
    for (const client of clients) {
      await client.heard('closed 1001 the server is shutting down');
      expect(client.story).toEqual(['hello', 'closed 1001 the server is shutting down']);
    }
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('events: those who wait for news are told to come again, what is being published is answered', async () => {
    await using program = new Program('events.mjs', way);
    const port = await program.port();
    using events = await Line.to(port);
    events.get('/events');
    await events.heard(': welcome');
    using polled = await polling(port);
    using first = await uploading(port);
    first.say('def');
    await first.heard('published');
    await events.heard('data: abcdef');
    await polled.heard('abcdef');
    first.socket.end();
    await first.closed();
    polled.socket.end();
    await polled.closed();
    using again = await polling(port);
    using upload = await uploading(port);
    await program.stop();
    await again.heard('204 No Content');
    await events.heard('event: bye');
    await again.closed();
    await events.closed();
    upload.say('def');
    await upload.heard('published');
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('events: a reader who comes while it drains is told to come again too', async () => {
    await using program = new Program('events.mjs', way, { KUBERNETES_SERVICE_HOST: '10.0.0.1' });
    const port = await program.port();
    await program.stop();
    await program.entered('draining');
    using events = await Line.to(port);
    events.get('/events');
    await events.heard('event: bye');
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });

  test.concurrent('health: alive but not ready from the first moment to the last, on a port of its own', async () => {
    await using program = new Program('health.mjs', way, { DRAIN_DELAY: '100ms' });
    const port = await program.port();
    const health = Number((await program.said(/health on (\d+)/))[1]);
    expect(await get(health, '/readyz')).toMatchObject({ status: 200, body: '{"status":"ready","ready":true}' });
    using upload = await uploading(port);
    await program.stop();
    await program.entered('waiting');
    expect(await get(health, '/readyz')).toMatchObject({ status: 503, body: '{"status":"draining","ready":false}' });
    expect(await get(health, '/livez')).toMatchObject({ status: 200, body: '{"status":"draining","live":true}' });
    await expect(get(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    upload.say('def');
    await upload.heard('stored');
    await program.ended();
    expect(program.story()).toEqual(['port', ...SHUTDOWN, '[report]']);
  });
});

type WebSocketLike = {
  on(event: 'message', listener: (text: Buffer) => void): void;
  on(event: 'close', listener: (code: number, reason: Buffer) => void): void;
  on(event: 'open', listener: () => void): void;
  send(text: string): void;
};
// It has no types.
const { WebSocket }: { WebSocket: new (url: string) => WebSocketLike } = createRequire(import.meta.url)('ws');

/** A client of a WebSocket server, and what it got. */
class Client {
  readonly #socket: WebSocketLike;
  readonly #heard = new News<string>();

  private constructor(port: number) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}`);
    this.#socket.on('message', (text) => this.#heard.tell(String(text)));
    this.#socket.on('close', (code, reason) => this.#heard.tell(`closed ${code} ${reason}`));
  }

  static async to(port: number): Promise<Client> {
    const client = new Client(port);
    await new Promise<void>((open) => client.#socket.on('open', open));
    return client;
  }

  get story(): readonly string[] {
    return this.#heard.all;
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  async heard(text: string): Promise<void> {
    await this.#heard.until((all) => all.includes(text));
  }
}
