import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

const CEILING_MS = 15_000;
const LOOK_MS = 50;

/** KiB of the pages of files that a process has: proc_pid_status(5). */
function resident(pid: number): number {
  return Number(/^RssFile:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

// The kernel tells of no change of this: it is looked at. `null`: not within the ceiling.
async function once(isSo: () => boolean): Promise<true | null> {
  for (const until = performance.now() + CEILING_MS; ; await new Promise((next) => setTimeout(next, LOOK_MS))) {
    if (isSo()) return true;
    if (performance.now() > until) return null;
  }
}

test('a daemon with nothing to do gives back what its start needed, and answers as before', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const [pid = 0] = home.daemonPids();
  const half = resident(process.pid) / 2;
  expect(await once(() => resident(pid) < half)).toBe(true);
  const services = Array.from({ length: 40 }, (_, n) => `s${n}: { command: [sleep, '1000'] }`);
  const file = home.write('supervisor.yaml', `services: { ${services.join(', ')} }`);
  await using start = home.begin(['start', file]);
  let most = 0;
  const hasShrunk = await once(() => {
    const now = resident(pid);
    most = Math.max(most, now);
    return now < most * 0.9;
  });
  expect(hasShrunk).toBe(true);
  expect(await start.status()).toBe(0);
  expect((await home.instance('s39:0')).state).toBe('running');
  expect(home.daemonPids()).toEqual([pid]);
});
