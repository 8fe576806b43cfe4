import { expect, test } from 'vitest';
import { type Claimant, findLeaders, type SavedRun } from '../../src/core/find-leader.ts';

const GONE: SavedRun = {
  slot: 'api:0',
  instance: 'api:0',
  token: 'saved',
  pid: 100,
  startTicks: 1_000,
  isAlive: false,
  isExpected: true,
  uid: 0,
};
const NEWER: Claimant = {
  instance: 'api:0',
  pid: 200,
  startTicks: 2_000,
  token: 'newer',
  uid: 0,
  isSessionLeader: true,
};

function pidsOf(saved: readonly SavedRun[], claimants: readonly Claimant[]): Record<string, number> {
  return Object.fromEntries([...findLeaders(saved, claimants)].map(([slot, { pid }]) => [slot, pid]));
}

test('the leader of a later run takes the place of one that is gone', () => {
  expect(pidsOf([GONE], [NEWER])).toEqual({ 'api:0': 200 });
});

test('a leader that lives is never replaced, nor is a run found for a state without a leader', () => {
  expect(pidsOf([{ ...GONE, isAlive: true }], [NEWER])).toEqual({});
  expect(pidsOf([{ ...GONE, isExpected: false }], [NEWER])).toEqual({});
});

test.each([
  ['another user', { uid: 65534 }],
  ['an environment that may be that of any user', { uid: null }],
  ['another instance', { instance: 'api:1' }],
  ['a start before that of the leader that is gone', { startTicks: 999 }],
  ['the token of the run that is gone: a leftover of it', { token: 'saved' }],
  ['no session of its own', { isSessionLeader: false }],
] as const)('a process with %s is no leader', (_, changes) => {
  expect(pidsOf([GONE], [{ ...NEWER, ...changes }])).toEqual({});
});

test('a service of an unknown user has no process that could be trusted', () => {
  expect(pidsOf([{ ...GONE, uid: null }], [NEWER, { ...NEWER, uid: null }])).toEqual({});
});

test('a late process of an earlier run is a leftover, for another with its token is older than the leader that is gone', () => {
  const child: Claimant = { ...NEWER, pid: 90, startTicks: 900, isSessionLeader: false };
  expect(pidsOf([GONE], [NEWER, child])).toEqual({});
});

test('of several runs the newest is taken, and of one run the session leader that started first', () => {
  const later: Claimant = { ...NEWER, pid: 300, startTicks: 3_000, token: 'newest' };
  const ofIt: Claimant = { ...later, pid: 301, startTicks: 3_005 };
  const sameTick: Claimant = { ...later, pid: 302 };
  const all = [ofIt, sameTick, NEWER, later];
  expect(pidsOf([GONE], all)).toEqual({ 'api:0': 300 });
  expect(pidsOf([GONE], all.toReversed())).toEqual({ 'api:0': 300 });
});

test('two places of an instance get two runs: the newer one what is newer', () => {
  const standby: SavedRun = { ...GONE, slot: 'api:0+', token: 'standby', pid: 110, startTicks: 1_100 };
  const later: Claimant = { ...NEWER, pid: 300, startTicks: 3_000, token: 'newest' };
  expect(pidsOf([GONE, standby], [NEWER, later])).toEqual({ 'api:0': 200, 'api:0+': 300 });
  expect(pidsOf([GONE, standby], [NEWER])).toEqual({ 'api:0+': 200 });
});

test('a run that was about to be spawned is found by its token, before any other', () => {
  const prepared: SavedRun = { ...GONE, pid: null };
  const own: Claimant = { ...NEWER, pid: 150, startTicks: 1_500, token: 'saved' };
  const child: Claimant = { ...own, pid: 151, startTicks: 1_501 };
  expect(pidsOf([prepared], [child, NEWER, own])).toEqual({ 'api:0': 150 });
  expect(pidsOf([prepared], [NEWER])).toEqual({ 'api:0': 200 });
  expect(pidsOf([prepared], [{ ...own, uid: 65534 }])).toEqual({});
});
