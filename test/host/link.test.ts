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
  leader: number | null | undefined = LEADER;
  #link: LinkServer | null = null;

  async open(): Promise<this> {
    this.#link = await openLink({
      path: join(this.#folder.path, 'link.sock'),
      mode: 0o600,
      leaderOf: (token) => (token === 'token' ? this.leader : undefined),
      hear: (_token, message) => this.heard.tell(message['by']),
    });
    return this;
  }

  get link(): LinkServer {
    if (this.#link === null) throw new Error('not open');
    return this.#link;
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

test('a run that is no more is nobody', async () => {
  using stage = await new Stage().open();
  stage.leader = undefined;
  await stage.speaker('late', LEADER).closed;
  expect(stage.heard.all).toEqual([]);
});
