import { expect, test } from 'vitest';
import { stopBudget, stopNeedMs } from '../../src/core/budget.ts';
import { findCycle, stopWaves, withDependencies } from '../../src/core/graph.ts';
import { DEFAULT_STOP } from '../../src/core/service.ts';
import { serviceSpec } from '../kit/spec.ts';

test('a cycle is named with its path', () => {
  expect(findCycle({ a: ['b'], b: ['c'], c: ['b'] })).toEqual(['b', 'c', 'b']);
  expect(findCycle({ a: ['a'] })).toEqual(['a', 'a']);
});

test('a diamond is no cycle', () => {
  expect(findCycle({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] })).toBeNull();
});

test('a service stops one wave after the last of those that depend on it', () => {
  expect(stopWaves({ db: [], cache: [], api: ['db', 'cache'], web: ['api', 'cache'], cron: [] })).toEqual([
    ['web', 'cron'],
    ['api'],
    ['db', 'cache'],
  ]);
  expect(stopWaves({})).toEqual([]);
});

test('a service brings what it depends on, in the order of the file', () => {
  expect(withDependencies(['web'], { db: [], api: ['db'], web: ['api'], cron: [] })).toEqual(['db', 'api', 'web']);
});

test('a stop needs the drain delay, the hook and the grace period', () => {
  const preStop = { argv: ['true'] as const, timeoutMs: 200 };
  expect(stopNeedMs({ ...DEFAULT_STOP, graceMs: 1_000, drainDelayMs: 30, preStop })).toBe(1_230);
});

test('a wave needs as long as its slowest service, and the path as long as all waves', () => {
  const services = [
    serviceSpec({ name: 'db', stop: { graceMs: 20_000 } }),
    serviceSpec({ name: 'api', stop: { graceMs: 10_000 }, dependsOn: { db: 'ready' } }),
    serviceSpec({ name: 'web', stop: { graceMs: 5_000 }, dependsOn: { db: 'ready' } }),
  ];
  const waves = [
    { services: ['api', 'web'], needMs: 10_000, graceMs: 10_000 },
    { services: ['db'], needMs: 20_000, graceMs: 20_000 },
  ];
  const budget = { waves, appMs: 18_000, pathMs: 30_000 };
  expect(stopBudget({ services, shutdownTimeoutMs: null })).toEqual({ ...budget, timeoutMs: null, fits: true });
  expect(stopBudget({ services, shutdownTimeoutMs: 30_000 })).toEqual({ ...budget, timeoutMs: 30_000, fits: true });
  expect(stopBudget({ services, shutdownTimeoutMs: 29_999 })).toEqual({ ...budget, timeoutMs: 29_999, fits: false });
});
