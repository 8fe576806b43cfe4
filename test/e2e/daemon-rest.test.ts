import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

const CEILING_MS = 15_000;
const LOOK_MS = 50;

/** KiB of a daemon's pages of that kind: proc_pid_status(5). */
function resident(pid: number, kind: 'RssAnon' | 'RssFile'): number {
  return Number(new RegExp(`^${kind}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

// The kernel tells of no change of this: it is looked at.
async function shrunk(pid: number, kind: 'RssAnon' | 'RssFile', below: number): Promise<number> {
  for (const until = performance.now() + CEILING_MS; ; await new Promise((next) => setTimeout(next, LOOK_MS))) {
    const now = resident(pid, kind);
    if (now < below || performance.now() > until) return now;
  }
}

test('a daemon with nothing to do gives back what its start needed, and answers as before', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const [pid = 0] = home.daemonPids();
  const node = resident(process.pid, 'RssFile');
  expect(await shrunk(pid, 'RssFile', node / 2)).toBeLessThan(node / 2);
  await home.ok(['start', '--name', 'api', '--restart', 'always', '--', 'sleep', '1000']);
  const used = resident(pid, 'RssFile');
  expect(await shrunk(pid, 'RssFile', used)).toBeLessThan(used);
  expect((await home.instance('api:0')).state).toBe('running');
  expect(home.daemonPids()).toEqual([pid]);
});
