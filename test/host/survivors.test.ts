import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { findSurvivors, killSurvivors } from '../../src/host/survivors.ts';

test('two that look for the same run in the same turn both see what is there', async () => {
  const token = randomUUID();
  const child = spawn('sleep', ['1000'], { env: { PATH: process.env['PATH'], GSUP_ID: token }, stdio: 'ignore' });
  const exited = once(child, 'exit');
  try {
    await once(child, 'spawn');
    const run = {
      leader: -1,
      startTicks: 0,
      token,
      uids: new Set([process.getuid?.() ?? 0]),
      cgroup: null,
      hasGroup: false,
      isGroupKilled: false,
      forksBefore: null,
      known: [],
    };
    const { signal } = new AbortController();
    const killed = killSurvivors(
      () => run,
      () => {},
      signal,
    );
    const found = findSurvivors(() => run, signal);
    expect((await found).map(({ pid }) => pid)).toEqual([child.pid]);
    await killed;
    expect(await exited).toEqual([null, 'SIGKILL']);
  } finally {
    child.kill('SIGKILL');
  }
});
