import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { type ActiveCheck, checkOnce } from '../../src/probes/check.ts';
import { type IsOurs, NOBODY_TOOK_IT, OTHERS_ANSWER } from '../../src/probes/ownership.ts';
import { TestServer } from '../kit/server.ts';

const LONG_MS = 10_000;

function ask(check: ActiveCheck, { timeoutMs = LONG_MS, isOurs }: { timeoutMs?: number; isOurs?: IsOurs } = {}) {
  const place = { cwd: '/', environment: { PATH: process.env['PATH'] }, ...(isOurs === undefined ? {} : { isOurs }) };
  return checkOnce(check, place, timeoutMs, new AbortController().signal);
}

const http = (url: string) => ({ kind: 'http', url }) as const;
const tcp = (port: number) => ({ kind: 'tcp', host: '127.0.0.1', port }) as const;
const exec = (line: string) => ({ kind: 'exec', argv: ['sh', '-c', line] }) as const;
const never = () => {};

async function refusedPort(): Promise<number> {
  await using server = await TestServer.start(200);
  return server.port;
}

/** Says these, one at each look, and the last one for ever. */
function says(...words: readonly (boolean | null)[]): IsOurs & { looks: number } {
  const isOurs = () => words[Math.min(isOurs.looks++, words.length - 1)] ?? null;
  isOurs.looks = 0;
  return isOurs;
}

test.each([
  [200, null],
  [204, null],
  [302, null],
  [404, 'HTTP 404'],
  [500, 'HTTP 500'],
])('HTTP %i is %s', async (status, reason) => {
  await using server = await TestServer.start(status);
  expect(await ask(http(server.url))).toBe(reason);
});

test('a port where nobody listens is refused', async () => {
  const port = await refusedPort();
  expect(await ask(http(`http://127.0.0.1:${port}/`))).toBe('ECONNREFUSED');
  expect(await ask(tcp(port))).toBe('ECONNREFUSED');
  expect(await ask(tcp(port), { isOurs: says(true) })).toBe('ECONNREFUSED');
  expect(await ask(http(`http://127.0.0.1:${port}/`), { isOurs: says(true) })).toBe('ECONNREFUSED');
});

test('no answer is not waited for beyond the time, whatever garbage is collected', async () => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  await using server = await TestServer.start(never);
  const asked = ask(http(server.url), { timeoutMs: 200 });
  await server.requests.until((all) => all.length === 1);
  gc();
  expect(await asked).toBe('no answer in time');
  await server.ended.until((all) => all.length === 1);
});

test('an endless answer counts by its status and is cut', async () => {
  await using server = await TestServer.start((response) => response.writeHead(200).write('data: 1\n\n'));
  expect(await ask(http(server.url))).toBe(null);
  await server.ended.until((all) => all.length === 1);
});

test('an abort ends a check at once', async () => {
  await using server = await TestServer.start(never);
  const ended = new AbortController();
  const asked = checkOnce(http(server.url), { cwd: '/', environment: {} }, 2 ** 30, ended.signal);
  await server.requests.until((all) => all.length === 1);
  ended.abort();
  await asked;
  await server.ended.until((all) => all.length === 1);
});

test('nothing is left running behind a check', async () => {
  await using server = await TestServer.start(200);
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const reasons = [await ask(http(server.url)), await ask(tcp(server.port)), await ask(exec('true'))];
  expect(reasons).toEqual([null, null, null]);
  expect(timers()).toBeLessThanOrEqual(before);
});

test.each([
  ['exit 0', null],
  ['exit 3', 'exit 3'],
  ['kill -9 $$', 'killed by SIGKILL'],
])('a program: %s', async (line, reason) => {
  expect(await ask(exec(line))).toBe(reason);
});

test('a program that hangs is killed with its group', async () => {
  expect(await ask(exec('sleep 1000 & wait'), { timeoutMs: 100 })).toBe('not in time');
});

test('what others took gets no request, and ours is found with a later connection', async () => {
  await using server = await TestServer.start(200);
  expect(await ask(http(server.url), { isOurs: says(false, false, null, true) })).toBe(null);
  expect(server.connections.all).toHaveLength(9);
  expect(server.requests.all).toHaveLength(1);
});

test('a bad answer of ours is a bad answer', async () => {
  await using server = await TestServer.start(500);
  expect(await ask(http(server.url), { isOurs: says(false, true) })).toBe('HTTP 500');
});

test.each(['http', 'tcp'] as const)(
  'when others take them all, 16 times 8 connections are enough: %s',
  async (kind) => {
    await using server = await TestServer.start(500);
    const isOurs = says(false);
    expect(await ask(kind === 'http' ? http(server.url) : tcp(server.port), { isOurs })).toBe(OTHERS_ANSWER);
    expect(isOurs.looks).toBe(129);
    expect(server.requests.all).toHaveLength(0);
    await server.ended.until((all) => all.length === 129);
  },
);

test.each(['http', 'tcp'] as const)('others that take them until the time is up say nothing: %s', async (kind) => {
  await using server = await TestServer.start(500);
  const check = kind === 'http' ? http(server.url) : tcp(server.port);
  expect(await ask(check, { isOurs: says(false), timeoutMs: 30 })).toBe(OTHERS_ANSWER);
});

test('a server that accepts only with the request is looked at when it has answered', async () => {
  await using server = await TestServer.start(200);
  expect(await ask(http(server.url), { isOurs: says(null, null, null, true) })).toBe(null);
  expect(server.requests.all).toHaveLength(1);
});

test('an answer of nobody known says nothing, and is asked for again', async () => {
  await using server = await TestServer.start(500);
  expect(await ask(http(server.url), { isOurs: says(null, null, null, false, true) })).toBe('HTTP 500');
  expect(server.requests.all).toHaveLength(2);
});

test.each([
  ['by ours', true, 'no answer in time'],
  ['by another', false, OTHERS_ANSWER],
  ['by nobody', null, NOBODY_TOOK_IT],
])('a request that hangs, taken %s', async (_, taken, reason) => {
  await using server = await TestServer.start(never);
  const isOurs = says(null, null, null, taken);
  expect(await ask(http(server.url), { isOurs, timeoutMs: 300 })).toBe(reason);
});

test('what another breaks off says nothing', async () => {
  await using server = await TestServer.start((response) => response.destroy(), 200);
  expect(await ask(http(server.url), { isOurs: says(null, null, null, true) })).toBe(null);
});

test('what ours breaks off is a bad answer', async () => {
  await using server = await TestServer.start((response) => response.destroy(), 200);
  expect(await ask(http(server.url), { isOurs: says(true) })).toBe('ECONNRESET');
});

test('a connection counts only when ours has taken it', async () => {
  await using server = await TestServer.start();
  const isOurs = says(null, null, null, null, true);
  expect(await ask(tcp(server.port), { isOurs })).toBe(null);
  expect(isOurs.looks).toBe(5);
  expect(server.connections.all).toHaveLength(1);
});

test('a connection that nobody takes is bad', async () => {
  await using server = await TestServer.start();
  expect(await ask(tcp(server.port), { isOurs: says(null), timeoutMs: 50 })).toBe(NOBODY_TOOK_IT);
});
