import { expect, test } from 'vitest';
import { DEFAULT_LIVE, type LivePolicy } from '../../src/core/service.ts';
import { watchLiveness } from '../../src/probes/liveness.ts';
import type { IsOurs } from '../../src/probes/ownership.ts';
import { News } from '../kit/news.ts';
import { TestServer } from '../kit/server.ts';

const PLACE = { cwd: '/', environment: { PATH: process.env['PATH'] } };
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

function watch(check: { kind: 'http'; url: string }, overrides: Partial<LivePolicy> = {}, isOurs?: IsOurs) {
  const told = new News<string>();
  const ended = new AbortController();
  const over = watchLiveness({
    check,
    policy: { ...DEFAULT_LIVE, check, intervalMs: 1, timeoutMs: 10_000, ...overrides },
    surroundings: isOurs === undefined ? PLACE : { ...PLACE, isOurs },
    signal: ended.signal,
    tell: {
      failed: (reason, count) => told.tell(`failed ${count}: ${reason}`),
      sick: (reason) => told.tell(`sick: ${reason}`),
      recovered: () => told.tell('recovered'),
    },
  });
  return { told, ended, over };
}

const at = (server: TestServer) => ({ kind: 'http', url: server.url }) as const;

test('bad answers in a row make it sick, once, and then nothing more is asked', async () => {
  await using server = await TestServer.start(200, 500, 503, 200, 200, 500, 500, 500, 200);
  const { told, over } = watch(at(server));
  await over;
  expect(told.all).toEqual([
    'failed 1: HTTP 500',
    'failed 2: HTTP 503',
    'recovered',
    'failed 1: HTTP 500',
    'failed 2: HTTP 500',
    'failed 3: HTTP 500',
    'sick: HTTP 500',
  ]);
  expect(server.requests.all).toHaveLength(8);
});

test('a server that hangs is sick', async () => {
  await using server = await TestServer.start(() => {});
  const { told, over } = watch(at(server), { timeoutMs: 30, failureThreshold: 2 });
  await over;
  expect(told.all).toEqual(['failed 1: no answer in time', 'failed 2: no answer in time', 'sick: no answer in time']);
});

test('a server that has gone is sick', async () => {
  await using server = await TestServer.start(200);
  const { told, over } = watch(at(server), { failureThreshold: 1 });
  await server.requests.until((all) => all.length > 2);
  await server[Symbol.asyncDispose]();
  await over;
  expect(told.all.at(-1)).toMatch(/^sick: ECONN(REFUSED|RESET)$/);
});

test('a program is asked too', async () => {
  const told = new News<string>();
  const check = { kind: 'exec', argv: ['sh', '-c', 'exit 4'] } as const;
  await watchLiveness({
    check,
    policy: { ...DEFAULT_LIVE, check, failureThreshold: 1 },
    surroundings: PLACE,
    signal: new AbortController().signal,
    tell: { failed: told.tell, sick: told.tell, recovered: () => told.tell('recovered') },
  });
  expect(told.all).toEqual(['exit 4', 'exit 4']);
});

test('never are there two at once: a slow answer delays the next question', async () => {
  let running = 0;
  let most = 0;
  await using server = await TestServer.start((response) => {
    most = Math.max(most, ++running);
    setTimeout(() => {
      running--;
      response.end();
    }, 20);
  });
  const { ended, over } = watch(at(server), { intervalMs: 1 });
  await server.requests.until((all) => all.length === 5);
  ended.abort();
  await over;
  expect(most).toBe(1);
});

test('the interval is from begin to begin', async () => {
  const answerMs = 150;
  const intervalMs = 200;
  await using server = await TestServer.start((response) => void setTimeout(() => response.end(), answerMs));
  const { ended, over } = watch(at(server), { intervalMs });
  const begins = await server.requests.until((all) => all.length === 5);
  ended.abort();
  await over;
  const took = (begins[4] ?? 0) - (begins[0] ?? 0);
  expect(took).toBeGreaterThan(3.5 * intervalMs);
  expect(took).toBeLessThan(4 * (intervalMs + answerMs));
});

test('nothing is asked before the initial delay is over', async () => {
  await using server = await TestServer.start(200);
  const begun = performance.now();
  const { ended, over } = watch(at(server), { initialDelayMs: 100 });
  await server.requests.until((all) => all.length === 1);
  ended.abort();
  await over;
  expect((server.requests.all[0] ?? 0) - begun).toBeGreaterThanOrEqual(98);
});

test('after an abort nothing is told and no timer runs, in a delay, a question and an interval', async () => {
  await using silent = await TestServer.start(() => {});
  await using good = await TestServer.start(200);
  const before = timers();
  const delayed = watch(at(silent), { initialDelayMs: 2 ** 30 });
  const asking = watch(at(silent));
  const resting = watch(at(good), { intervalMs: 2 ** 30 });
  await silent.requests.until((all) => all.length === 1);
  await good.ended.until((all) => all.length === 1);
  expect(timers()).toBeGreaterThan(before);
  for (const { ended } of [delayed, asking, resting]) ended.abort();
  for (const { over } of [delayed, asking, resting]) await over;
  await silent.ended.until((all) => all.length === 1);
  expect(timers()).toBeLessThanOrEqual(before);
  expect([...delayed.told.all, ...asking.told.all, ...resting.told.all]).toEqual([]);
});

test('what others answer counts neither way', async () => {
  await using server = await TestServer.start(500);
  let looks = 0;
  // Ours, others for a whole check, ours.
  const isOurs = () => ++looks === 1 || looks > 130;
  const { told, over } = watch(at(server), { failureThreshold: 2 }, isOurs);
  await over;
  expect(told.all).toEqual(['failed 1: HTTP 500', 'failed 2: HTTP 500', 'sick: HTTP 500']);
  expect(looks).toBe(131);
});
