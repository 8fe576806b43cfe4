import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { forksBefore, lowestPid } from '../../src/host/pid-order.ts';

const HIGHEST = Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1'));

test('what a run starts has a higher pid than its leader, as long as pids have not begun again', () => {
  const forks = forksBefore();
  expect(lowestPid([{ leader: 1, forksBefore: forks }])).toBe(1);
  expect(
    lowestPid([
      { leader: 900, forksBefore: forks },
      { leader: 800, forksBefore: forks },
    ]),
  ).toBe(800);
});

test('every pid is looked at where they may have begun again, or the begin of a run is not known', () => {
  const forks = forksBefore() ?? 0;
  expect(lowestPid([{ leader: HIGHEST - 1, forksBefore: forks }])).toBe(0);
  expect(lowestPid([{ leader: 1, forksBefore: forks - HIGHEST }])).toBe(0);
  expect(lowestPid([{ leader: 1, forksBefore: null }])).toBe(0);
  expect(
    lowestPid([
      { leader: 900, forksBefore: forks },
      { leader: 1, forksBefore: null },
    ]),
  ).toBe(0);
});

test('each process and thread is counted', async () => {
  const count = () => Number(/^processes (\d+)/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1]);
  const before = count();
  await new Promise((ended) => spawn('true').once('exit', ended));
  expect(count()).toBeGreaterThan(before);
});
