import { expect, test } from 'vitest';
import type { ReadyPolicy } from '../../src/core/service.ts';
import { untilReady } from '../../src/probes/readiness.ts';
import { TestServer } from '../kit/server.ts';

const PLACE = { cwd: '/', environment: {} };

function watch(server: TestServer, overrides: Partial<ReadyPolicy> = {}, signal = new AbortController().signal) {
  const check = { kind: 'http', url: server.url } as const;
  const policy = { check, initialDelayMs: 0, intervalMs: 1, timeoutMs: 30_000, successThreshold: 1, ...overrides };
  return untilReady(check, policy, { surroundings: PLACE, signal, notYet: () => {} });
}

test('one good answer is enough', async () => {
  await using server = await TestServer.start(500, 500, 200);
  expect(await watch(server)).toBe(true);
  expect(server.requests.all).toHaveLength(3);
});

test('so many good answers are wanted in a row', async () => {
  await using server = await TestServer.start(200, 200, 500, 200, 200, 200);
  expect(await watch(server, { successThreshold: 3 })).toBe(true);
  expect(server.requests.all).toHaveLength(6);
});

test('nothing is asked before the initial delay is over', async () => {
  await using server = await TestServer.start(200);
  const begun = performance.now();
  expect(await watch(server, { initialDelayMs: 100 })).toBe(true);
  // Timers may fire a millisecond early.
  expect((server.requests.all[0] ?? 0) - begun).toBeGreaterThanOrEqual(98);
});

test('an abort in the initial delay ends it without a question', async () => {
  await using server = await TestServer.start(200);
  const ended = new AbortController();
  const watched = watch(server, { initialDelayMs: 2 ** 30 }, ended.signal);
  ended.abort();
  expect(await watched).toBe(false);
  expect(server.requests.all).toHaveLength(0);
});

test('an abort between two tries ends it', async () => {
  await using server = await TestServer.start(500);
  const ended = new AbortController();
  const watched = watch(server, { intervalMs: 2 ** 30 }, ended.signal);
  await server.ended.until((all) => all.length === 1);
  ended.abort();
  expect(await watched).toBe(false);
  expect(server.requests.all).toHaveLength(1);
});

test('what others answer counts neither way', async () => {
  await using server = await TestServer.start(200);
  let looks = 0;
  // Between the first good answer and the second one a whole check meets others only.
  const isOurs = () => ++looks === 1 || looks > 130;
  const check = { kind: 'http', url: server.url } as const;
  const policy = { check, initialDelayMs: 0, intervalMs: 1, timeoutMs: 30_000, successThreshold: 2 };
  expect(
    await untilReady(check, policy, {
      surroundings: { ...PLACE, isOurs },
      signal: new AbortController().signal,
      notYet: () => {},
    }),
  ).toBe(true);
  expect(looks).toBe(131);
  expect(server.requests.all).toHaveLength(2);
});
