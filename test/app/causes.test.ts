import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { suggestedGrace } from '../../src/app/index.ts';
import { listening, portOf } from '../kit/client.ts';
import { Watched } from '../kit/shutdowns.ts';

/** What the report explains when a hook fails like this. */
async function explained(fail: () => unknown): Promise<readonly string[]> {
  using watched = new Watched({ timeout: '1s' });
  watched.shutdown.hook('it', fail);
  const { explanations } = await watched.shutdown.begin();
  for (const { why, todo } of explanations) expect([why, todo].every((text) => text.length > 10)).toBe(true);
  return explanations.map(({ mistake, where }) => `${mistake} in ${where}`);
}

test.each([
  ['channel-closed', () => closedStream()],
  ['address-in-use', () => addressInUse()],
  ['connection-reset', () => connectionReset()],
  ['broken-pipe', () => Promise.reject(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))],
  ['task-cancelled', () => fetch('http://127.0.0.1:1', { signal: AbortSignal.abort() })],
  ['deadline-elapsed', () => Promise.reject(new DOMException('too late', 'TimeoutError'))],
  ['database-closed-too-early', () => Promise.reject(new Error('Cannot use a pool after calling end on the pool'))],
  ['database-closed-too-early', () => Promise.reject(new Error('Client was closed and is not queryable'))],
  ['database-closed-too-early', () => Promise.reject(new Error('x', { cause: new Error('Connection is closed.') }))],
])('%s is recognised', async (mistake, fail) => {
  expect(await explained(fail)).toEqual([`${mistake} in hook "it"`]);
});

test('what is none of them is left as it is', async () => {
  expect(await explained(() => Promise.reject(new Error('constructor')))).toEqual([]);
  expect(await explained(() => Promise.reject(Object.assign(new Error('x'), { code: 'toString' })))).toEqual([]);
  expect(await explained(() => Promise.reject('just text'))).toEqual([]);
});

test('a server that was handed in twice is counted once, and explained', async () => {
  using watched = new Watched();
  const server = await listening(createServer());
  watched.shutdown.server(server);
  watched.shutdown.server(server);
  const report = await watched.shutdown.begin();
  expect(report.servers).toHaveLength(1);
  expect(report.explanations).toMatchObject([{ mistake: 'handler-registered-twice', where: 'server' }]);
});

test('a grace period is suggested that 99 % of the shutdowns would have kept', () => {
  const took = (durationMs: number, undone: readonly string[] = []) => ({ durationMs, undone });
  expect(suggestedGrace([])).toBeNull();
  expect(suggestedGrace([took(100)])).toBe(1000);
  expect(suggestedGrace([took(600)])).toBe(2000);
  expect(suggestedGrace([took(9100)])).toBe(11_000);
  expect(suggestedGrace([took(9000, ['task "export" had not ended'])])).toBe(20_000);
  const many = Array.from({ length: 200 }, () => took(900));
  expect(suggestedGrace([...many, took(60_000)])).toBe(2000);
});

async function closedStream(): Promise<void> {
  const stream = new PassThrough();
  stream.end();
  const failed = once(stream, 'error');
  stream.write('late');
  const [error] = await failed;
  throw error;
}

async function addressInUse(): Promise<void> {
  const server = await listening(createServer());
  const other = createServer();
  const failed = once(other, 'error');
  other.listen(portOf(server), '127.0.0.1');
  const [error] = await failed;
  server.close();
  throw error;
}

async function connectionReset(): Promise<void> {
  const server = await listening(createServer((request) => request.socket.resetAndDestroy()));
  const failed = once(get({ port: portOf(server), host: '127.0.0.1', agent: false }), 'error');
  const [error] = await failed;
  server.close();
  throw error;
}
