import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type LinkServer, openLink } from '../../src/host/link.ts';
import { Folder } from '../kit/gsup.ts';
import { News } from '../kit/news.ts';

const LEADER = 100;

/** A link with one run, `token`, and those who speak on it. */
class Stage implements Disposable {
  readonly #folder = new Folder();
  readonly heard = new News<unknown>();
  readonly #sockets: Socket[] = [];
  readonly flooded: string[] = [];
  leader: number | null | undefined = LEADER;
  #link: LinkServer | null = null;

  async open(): Promise<this> {
    this.#link = await openLink({
      path: join(this.#folder.path, 'link.sock'),
      mode: 0o600,
      leaderOf: (token) => (/^token(-\d+)?$/.test(token) ? this.leader : undefined),
      hear: (_token, message) => this.heard.tell(message['by']),
      flooded: (token) => this.flooded.push(token),
    });
    return this;
  }

  get link(): LinkServer {
    if (this.#link === null) throw new Error('not open');
    return this.#link;
  }

  /** A connection that has said `text`. */
  connection(text = ''): Socket {
    const socket = connect(this.link.path).on('error', () => {});
    this.#sockets.push(socket);
    socket.write(text);
    return socket;
  }

  /** Somebody who has said hello. */
  speaker(name: string, pid?: unknown): Speaker {
    const socket = connect(this.link.path).on('error', () => {});
    this.#sockets.push(socket);
    const speaker = new Speaker(name, socket);
    speaker.write({ type: 'hello', id: 'token', pid });
    return speaker;
  }

  /** What was heard of each after all have spoken in turn, and `last`, who is heard for sure. */
  async round(speakers: readonly Speaker[], last: Speaker): Promise<readonly unknown[]> {
    const before = this.heard.all.length;
    for (const speaker of speakers) await speaker.say();
    await last.say();
    const all = await this.heard.until((heard) => heard.slice(before).includes(last.name));
    return all.slice(before);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#link?.close();
    this.#folder[Symbol.dispose]();
  }
}

class Speaker {
  readonly name: string;
  readonly told = new News<string>();
  readonly closed: Promise<unknown>;
  readonly #socket: Socket;

  constructor(name: string, socket: Socket) {
    this.name = name;
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.setEncoding('utf8').on('data', this.told.tell);
  }

  write(message: unknown): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Resolves when the kernel has it. */
  say(): Promise<void> {
    const line = `${JSON.stringify({ type: 'phase', phase: 'x', by: this.name })}\n`;
    return new Promise((resolve) => this.#socket.write(line, () => resolve()));
  }

  async leave(): Promise<void> {
    this.#socket.end();
    await this.closed;
  }
}

/** An error is an end, too. */
function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.resume().once('close', resolve));
}

test('what children of an app say on the link is not said by the app, whoever came first or last', async () => {
  using stage = await new Stage().open();
  const leader = stage.speaker('leader', LEADER);
  await stage.round([], leader);
  const child = stage.speaker('child', 101);
  expect(await stage.round([child, child], leader)).toEqual(['leader']);
  stage.link.send('token', { type: 'stop' });
  await leader.told.until((all) => all.length > 0);
  await child.leave();
  stage.link.send('token', { type: 'pending?' });
  await leader.told.until((all) => all.join('').includes('pending?'));
  expect(child.told.all).toEqual([]);
});

test('after the leader has hung up, its children are still not the app', async () => {
  using stage = await new Stage().open();
  const leader = stage.speaker('leader', LEADER);
  await stage.round([], leader);
  await leader.leave();
  const child = stage.speaker('child', 101);
  const simple = stage.speaker('without a pid');
  expect(await stage.round([child], simple)).toEqual(['without a pid']);
});

test('behind a shell that says nothing, who came first is the app; when it has gone, the next', async () => {
  using stage = await new Stage().open();
  const app = stage.speaker('app', 101);
  await stage.round([], app);
  const child = stage.speaker('child', 102);
  expect(await stage.round([child], app)).toEqual(['app']);
  await app.leave();
  expect(await stage.round([], child)).toEqual(['child']);
});

test('a hello without a pid, or with one that is none, is trusted, and so is each copy of a library', async () => {
  using stage = await new Stage().open();
  const speakers = [
    stage.speaker('leader', LEADER),
    stage.speaker('other copy', LEADER),
    stage.speaker('shell'),
    stage.speaker('odd', 'me'),
  ];
  for (const speaker of speakers) await stage.round([], speaker);
  stage.link.send('token', { type: 'stop' });
  for (const { told } of speakers) expect(await told.until((all) => all.length > 0)).toEqual(['{"type":"stop"}\n']);
});

test('a connection that says no hello is closed in time, and one that is cut off in the middle of it', async () => {
  using stage = await new Stage().open();
  const silent = stage.connection();
  const half = stage.connection('{"type":"hello","id":"tok');
  const began = performance.now();
  await Promise.all([silent, half].map(closed));
  expect(performance.now() - began).toBeGreaterThan(1_500);
});

test.each([
  ['has more than 4 KiB', `{"type":"hello","id":"token","more":"${'x'.repeat(4_096)}"}\n`],
  ['has no end within 4 KiB', 'x'.repeat(4_097)],
  ['is empty', '\n'],
  ['is not a map', '["hello","token"]\n'],
  ['is another message', '{"type":"ready"}\n'],
])('a first line that %s ends the connection', async (_, text) => {
  using stage = await new Stage().open();
  await closed(stage.connection(text));
  expect(stage.heard.all).toEqual([]);
});

test('a thousand apps connect in one moment, and each is heard at its first try', async () => {
  using stage = await new Stage().open();
  const apps = Array.from({ length: 1_000 }, (_, n) => {
    const socket = stage.connection();
    socket.write(`{"type":"hello","id":"token-${n}","pid":${LEADER}}\n{"type":"phase","phase":"x","by":${n}}\n`);
    return socket;
  });
  const heard = await stage.heard.until(({ length }) => length === apps.length);
  expect(new Set(heard).size).toBe(apps.length);
});

test('where an app has very many children, their oldest connections are closed, never its own', async () => {
  using stage = await new Stage().open();
  const leader = stage.speaker('leader', LEADER);
  await stage.round([], leader);
  const first = stage.speaker('first child', 101);
  const others = Array.from({ length: 70 }, (_, n) => stage.speaker(`child ${n}`, 102 + n));
  await first.closed;
  expect(await stage.round(others.slice(-1), leader)).toEqual(['leader']);
});

test('lines come as fast as they are allowed to and in order, and others are heard meanwhile', async () => {
  using stage = await new Stage().open();
  const flooder = stage.connection();
  flooder.write('{"type":"hello","id":"token","pid":100}\n');
  flooder.write(Array.from({ length: 20_000 }, (_, n) => `{"type":"phase","phase":"x","by":${n}}\n`).join(''));
  await stage.heard.until(({ length }) => length > 250);
  const other = stage.connection();
  other.write('{"type":"hello","id":"token-1"}\n{"type":"phase","phase":"x","by":"other"}\n');
  const heard = await stage.heard.until((all) => all.includes('other'));
  const numbers = heard.filter((by) => by !== 'other');
  expect(numbers).toEqual(numbers.map((_, n) => n));
  expect(numbers.length).toBeLessThan(400);
  expect(stage.flooded).toEqual(['token']);
});

test('an app that reads nothing of what it is sent is closed', async () => {
  using stage = await new Stage().open();
  const app = stage.connection('{"type":"hello","id":"token"}\n{"type":"phase","phase":"x","by":"app"}\n').pause();
  await stage.heard.until(({ length }) => length === 1);
  for (let count = 0; count < 10_000; count++) stage.link.send('token', { type: 'stop', reason: 'x'.repeat(100) });
  await closed(app);
});

test('a run that is no more is nobody', async () => {
  using stage = await new Stage().open();
  stage.leader = undefined;
  await stage.speaker('late', LEADER).closed;
  expect(stage.heard.all).toEqual([]);
});
