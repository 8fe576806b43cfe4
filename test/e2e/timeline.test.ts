import { appendFileSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Occasion } from '../../src/core/occasion.ts';
import { fixture, Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const SURVIVING = '(trap "" TERM; sleep 1000; sleep 1000) & exec sleep 1000';

async function timeline(home: Home, ...args: readonly string[]): Promise<string> {
  const { stdout } = await home.ok(['timeline', ...args], { env: { LC_ALL: 'C.UTF-8' } });
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  return stdout;
}

describe('the timeline names', () => {
  test('the hook that hung, of an app that had to be killed', async () => {
    await using home = new Home();
    const app = fixture('app/hanging-hook.mjs');
    await home.ok(['start', '--name', 'api', '--grace', '1s', '--ready', 'message', app]);
    expect((await home.run(['stop', 'api'])).status).toBe(1);
    const text = await timeline(home, 'api', '--kind', 'stop', '-n', '1');
    expect(text).toMatch(/^stop of api:0: gsup stop /);
    expect(text).toMatch(/^api:0 stop .* killed, 100% of 1s$/m);
    expect(text).toMatch(/^ +closing +━+ .*hook metrics$/m);
    expect(text).toMatch(/^ +hook metrics +━+ .*cut off$/m);
    expect(text).toContain('SIGKILL: grace period over at closing; still to do: hook metrics');
  });

  test('a program that ignores SIGTERM, a survivor, and a crash with its restart', async () => {
    await using home = new Home();
    await home.ok(['start', '--name', 'stubborn', '--grace', '300ms', fixture('stubborn.mjs')]);
    await home.ok(['start', '--name', 'parent', '--grace', '300ms', '--', 'sh', '-c', SURVIVING]);
    await home.run(['stop', 'stubborn', 'parent']);
    const text = await timeline(home, '-n', '10');
    expect(text).toContain('SIGKILL: grace period over; the app did not say what it still had to do');
    expect(text).toMatch(/^ +survivors SIGTERM +▓+ /m);
    expect(text).toMatch(/^ +survivor \d+ \(sleep 1000\): killed$/m);
    await home.run(['start', '--name', 'crashing', '--', 'sh', '-c', 'sleep 0.2; exit 3']);
    await home.record('spawned', 'crashing:0', 2);
    const crash = await timeline(home, 'crashing', '--kind', 'exit', '--ascii');
    expect(crash).toMatch(/^crashing:0 ended by itself/);
    expect(crash).toMatch(/^crashing:0 exit .* exit 3 after \d+ms$/m);
    expect(crash).toMatch(/^ +restart 1 in \d+ms \(exit 3\)$/m);
    expect(crash).toMatch(/^[\n -~]*$/);
    await home.run(['stop', 'crashing']);
  });

  test('why a reload failed', async () => {
    await using home = new Home();
    const app = home.write('app.mjs', 'console.log("up"); setInterval(() => {}, 1000);');
    await home.ok(['start', '--name', 'api', '--ready', 'log:^up$', '--ready-timeout', '5s', app]);
    home.write('app.mjs', 'throw new Error("broken");');
    expect((await home.run(['reload', 'api'])).status).toBe(1);
    const text = await timeline(home, 'api', '--kind', 'reload');
    expect(text).toMatch(/^reload of api: gsup reload /);
    expect(text).toMatch(/^ {2}given up after .*: api:0: exit 1 before it was ready$/m);
    expect(text).toMatch(/^api:0 start .* ended before ready$/m);
  });
});

test('after gsup kill its shutdown is drawn, and no daemon is started for that; a torn line costs nothing else', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '--', 'sleep', '1000']);
  await home.ok(['kill']);
  appendFileSync(home.file('events.ndjson'), '{"level":30,"time":179');
  expect(await timeline(home, '-n', '1')).toMatch(/^shutdown: gsup kill .*\n +clean in .*, 1 wave\n/);
  expect(home.daemonPids()).toEqual([]);
  await home.ok(['start', 'api']);
  const { stdout } = await home.ok(['events', '--json', '--phase', 'supervisor-started', '--until', '0ms']);
  const started = stdout.trim().split('\n');
  expect(started.map((line) => JSON.parse(line).phase)).toEqual(['supervisor-started', 'supervisor-started']);
  expect(new Set(started.map((line) => JSON.parse(line).boot)).size).toBe(1);
});

test('the records of gsup run are drawn from its stderr; as JSON, SVG and trace events too', async () => {
  await using gsup = new Gsup(['run', '--log-format', 'json', '--name', 'web', fixture('app/server.mjs')]);
  await gsup.said(/port/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  await using home = new Home();
  const [svg, trace] = [home.file('../t.svg'), home.file('../t.json')];
  const from = ['timeline', '--from', '-', '--svg', svg, '--trace', trace, '--json'];
  const { stdout } = await home.ok(from, { input: `not a record\n${gsup.stderr}` });
  const occasions: readonly Occasion[] = JSON.parse(stdout);
  expect(occasions.map(({ kind, isOver }) => [kind, isOver])).toEqual([
    ['start', true],
    ['shutdown', true],
  ]);
  const [stop] = occasions[1]?.members ?? [];
  expect(stop?.episode).toMatchObject({ kind: 'stop', verdict: 'clean', appSteps: [{ kind: 'hook', name: 'db' }] });
  expect(readFileSync(svg, 'utf8')).toContain('<title>web:0 hook db, done: ');
  expect(JSON.parse(readFileSync(trace, 'utf8')).traceEvents.length).toBeGreaterThan(8);
});

test('the last stops: ls warns of those that came near, show counts them, doctor suggests a grace period', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'stubborn', '--grace', '100ms', fixture('stubborn.mjs')]);
  for (let stop = 1; stop <= 10; stop++) await home.run(['restart', 'stubborn']);
  const warning = '10 of its last 10 stops needed SIGKILL after the grace period of 100ms';
  expect((await home.ok(['ls'])).stderr).toContain(`! stubborn: ${warning}; "gsup timeline stubborn --kind stop"`);
  // Also under the daemon after this one.
  await home.killDaemon();
  expect((await home.ok(['show', 'stubborn'])).stdout).toMatch(/^stops +the last 10: p50 .*; 10 killed, these are/m);
  expect(await home.instance('stubborn:0')).toMatchObject({ stops: { count: 10, killed: 10, maxShare: 1 } });
  const { stdout } = await home.run(['doctor']);
  expect(stdout).toMatch(
    /^! grace +stubborn: .*10 of them killed: their times are lower bounds; grace 100ms is tight$/m,
  );
  expect(stdout).toContain('stop.grace: 1s or more for stubborn');
});
