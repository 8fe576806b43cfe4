import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { WhyView } from '../../src/api/types.ts';
import { fixture, freePort, type Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { MemoryLimit } from '../kit/memory-limit.ts';
import { Stage } from '../kit/puppet.ts';
import { release, web, writeServices } from '../kit/rolling.ts';

const NODE = process.env['TEST_NODE'] ?? process.execPath;
const PUPPET = fixture('puppet.mjs');
const AT_ONCE = ['--ready', 'exec:true'];
const NEVER = ['--restart', 'never'];

async function whyOf(home: Home, name: string): Promise<WhyView> {
  return JSON.parse((await home.call(`/v1/services/${name}/why`)).body);
}

/** A shell program that is left to itself, waited for until gsup is done with it. */
async function ended(home: Home, line: string, ...options: string[]): Promise<WhyView> {
  await home.run(['start', '--name', 'api', ...NEVER, ...options, '--', 'sh', '-c', line]);
  await home.until('the end', () => home.records.find(({ phase }) => phase === 'failed'));
  return whyOf(home, 'api');
}

test.concurrent('a kill -9 from outside is told as one, and not taken for a want of memory', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...AT_ONCE, '--', 'sleep', '1000']);
  process.kill((await home.pids())['api:0'] ?? 0, 'SIGKILL');
  await home.record('oom-checked', 'api:0');
  const { cause, ends } = await whyOf(home, 'api');
  expect(cause.kind).toBe('outside');
  expect(cause.sentence).toMatch(/SIGKILL ended it after .*, and gsup did not send it; /);
  expect(ends).toMatchObject([
    { exit: 'killed by SIGKILL', reason: null, outcome: expect.stringMatching(/^again in /) },
  ]);
});

test.concurrent('what the OOM killer of the kernel ends is told with the memory that ran out', async () => {
  using limit = MemoryLimit.make(`gsup-test-${process.pid}`);
  if (limit === null) return;
  await using home = new Home();
  const fill = `import { setTimeout } from 'node:timers/promises'; const all = []; for (;;) { all.push(Buffer.alloc(8e6, 1)); await setTimeout(1); }`;
  const line = limit.within(`${NODE} --input-type=module -e "${fill}"`);
  await home.run(['start', '--name', 'api', ...NEVER, '--', 'sh', '-c', line]);
  const { pid } = await home.record('exited', 'api:0');
  const told = (await home.record('oom-checked', 'api:0')) as unknown as { oom: { verdict: string; source: string } };
  if (told.oom.source === null) {
    console.warn('skipped: neither the log of the kernel nor its counts can be read here');
    return;
  }
  expect(told).toMatchObject({ pid, oom: { verdict: expect.stringMatching(/^(yes|likely)$/) } });
  const { cause, view } = await whyOf(home, 'api');
  expect(cause.kind).toBe('oom');
  if (told.oom.verdict !== 'yes') return;
  expect(view.lastExit).toMatchObject({ signal: 'SIGKILL', by: 'oom' });
  expect(cause.sentence).toMatch(
    /^the kernel's OOM killer ended it after .*: the memory of cgroup .* \(limit 40MiB\) ran out/,
  );
  expect((await home.ok(['why', 'api'])).stdout).toContain("the kernel's OOM killer ended it");
});

test.concurrent('a SIGTERM from outside, one by gsup signal, and a stop are told apart', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...AT_ONCE, '--', 'sleep', '1000']);
  process.kill((await home.pids())['api:0'] ?? 0, 'SIGTERM');
  await home.record('ready', 'api:0', 2);
  expect((await whyOf(home, 'api')).cause.sentence).toMatch(
    /: SIGTERM ended it after .*, and gsup did not send it: somebody/,
  );
  await home.ok(['signal', 'TERM', 'api']);
  await home.until('the exit', () => home.records.filter(({ phase }) => phase === 'exited')[1]);
  await home.until('its end', () => home.records.filter(({ phase }) => phase === 'logs-drained')[1]);
  expect((await whyOf(home, 'api')).cause).toMatchObject({
    kind: 'passed-on',
    sentence: expect.stringMatching(/^SIGTERM, which gsup passed on to it/),
  });
  await home.ok(['restart', 'api']);
  await home.ok(['stop', 'api']);
  const { cause, stderr } = await whyOf(home, 'api:0');
  expect(cause.sentence).toMatch(/^gsup stop stopped it: SIGTERM ended it after \d+ms of 10s$/);
  expect([cause.next, stderr]).toEqual([null, []]);
});

test.concurrent('one that ignores SIGTERM: while it stops that is told, afterwards that its grace was over', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const env = await stage.environment();
  await home.ok(['start', PUPPET, '--name', 'api', '--grace', '2s', ...AT_ONCE], { env });
  const puppet = await stage.connected();
  await puppet.send({ act: 'ignore', signal: 'SIGTERM' });
  await using stop = home.begin(['stop', 'api']);
  await home.record('signal-sent', 'api:0');
  const during = (await whyOf(home, 'api')).cause;
  expect(during.sentence).toMatch(/^it is being stopped \(gsup stop\): signal-sent, SIGKILL in /);
  expect(await stop.status()).toBe(1);
  const { cause } = await whyOf(home, 'api');
  expect(cause.sentence).toBe('gsup killed it: it was still there when its grace of 2s was over (asked by gsup stop)');
  expect(cause.next).toBe('let api end when it gets SIGTERM, or raise stop.grace above 2s if it only needs longer');
});

test.concurrent('an ignored signal is read from the kernel while the stop goes on', async () => {
  await using home = new Home();
  const line = 'trap "" TERM; echo deaf; exec sleep 1000';
  await home.ok(['start', '--name', 'api', '--grace', '1m', '--ready', 'log:deaf', '--', 'sh', '-c', line]);
  await using stop = home.begin(['stop', 'api']);
  await home.record('signal-sent', 'api:0');
  const { cause, view } = await whyOf(home, 'api');
  expect(cause.facts).toEqual([`it ignores SIGTERM, as /proc/${view.pid}/status says`]);
  await home.ok(['signal', 'KILL', 'api']);
  await stop.status();
  expect((await whyOf(home, 'api')).cause.sentence).toBe(
    'SIGKILL, which gsup passed on to it (gsup signal), ended it while gsup stop was stopping it',
  );
});

/** `gsup stop` of an app whose hook does this; grace 3 s. */
async function hangingIn(home: Home, hook: string): Promise<Gsup & AsyncDisposable> {
  const script = `import { createShutdown } from 'gsup/app'; setInterval(() => {}, 1e6);
    const shutdown = createShutdown({ timeout: '1h' });
    shutdown.hook('db', () => ${hook});
    shutdown.ready(); console.log('up');`;
  const command = ['--', NODE, '--input-type=module', '-e', script];
  await home.ok(['start', '--name', 'api', '--grace', '3s', '--ready', 'log:up', ...NEVER, ...command]);
  const stop = home.begin(['stop', 'api']);
  await home.until('closing', () =>
    home.records.find(({ phase, msg }) => phase === 'app-phase' && /^closing/.test(msg)),
  );
  return stop;
}

test.concurrent('an app that hangs in a hook and ends itself in time is told with the hook', async () => {
  await using home = new Home();
  await using stop = await hangingIn(home, 'new Promise(() => {})');
  const during = await whyOf(home, 'api');
  expect(during.cause.sentence).toMatch(
    /^it is being stopped \(gsup stop\): signal-sent, SIGKILL in .*; it says: closing/,
  );
  expect(await stop.status()).toBe(0);
  const { cause, ends } = await whyOf(home, 'api');
  expect(cause.kind).toBe('left-undone');
  expect(cause.sentence).toMatch(
    /^gsup stop stopped it: SIGTERM, exit 1 after .* of 3s; it left undone: hook "db" had not ended after \d+ ms$/,
  );
  expect(cause.next).toBe('let that end sooner, or raise stop.grace of api above 3s');
  expect(ends).toMatchObject([{ exit: 'exit 1', reason: 'gsup stop', outcome: null }]);
});

test.concurrent('an app that is caught in an endless loop is killed, and told with where it was', async () => {
  await using home = new Home();
  await using stop = await hangingIn(home, '{ for (;;); }');
  expect(await stop.status()).toBe(1);
  const { cause, pending } = await whyOf(home, 'api');
  expect(cause.sentence).toMatch(
    /^gsup killed it: it was still there when its grace of 3s was over \(asked by gsup stop\); it was at: closing/,
  );
  expect(pending).toMatch(/^closing/);
  expect(cause.next).toBe('let that end sooner, or raise stop.grace of api above 3s');
});

test.concurrent.each([
  ['kill -SEGV $$', 'crashed', /^it crashed after .*: SIGSEGV, it used memory that is not its own$/],
  [
    'echo last words >&2; no-such-program',
    'exited',
    /with exit 127: a shell ends so when it does not find the program$/,
  ],
  ['exit 3', 'exited', /^it ended by itself after .* with exit 3$/],
])('the end of "%s" is told as %s', async (line, kind, sentence) => {
  await using home = new Home();
  const { cause, stderr } = await ended(home, line);
  expect(cause).toMatchObject({ kind, sentence: expect.stringMatching(sentence) });
  if (line.startsWith('echo')) expect(stderr).toEqual(['last words', expect.stringContaining('no-such-program')]);
});

test.concurrent('a port that is held is told with the process that has it', async () => {
  await using home = new Home();
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  try {
    const listen = `require('node:net').createServer().listen(${port}, '127.0.0.1')`;
    await home.run(['start', '--name', 'api', ...NEVER, '--', NODE, '-e', listen]);
    const { cause, stderr } = await whyOf(home, 'api');
    expect(cause.kind).toBe('port-held');
    expect(cause.sentence).toMatch(new RegExp(`exit 1: port ${port} was taken by another process$`));
    expect(cause.facts[0]).toMatch(new RegExp(`^it is held by pid ${process.pid} \\(`));
    expect(cause.next).toBe(`kill ${process.pid}, or give api another port`);
    expect(stderr.join('\n')).toContain('EADDRINUSE');
  } finally {
    server.close();
  }
});

test.concurrent('failed starts: no such program, not ready, waiting for another, the restart limit', async () => {
  await using home = new Home();
  const never = { policy: 'never' };
  const ready = { log: 'never', timeout: '300ms' };
  const file = writeServices(home, {
    missing: { command: 'no-such-program' },
    late: { command: 'sleep 1000', ready, restart: never },
    waiting: { command: 'sleep 1000', dependsOn: ['slow'] },
    slow: { command: 'sleep 1000', ready: { log: 'never', timeout: '1m' } },
    limited: { command: 'false', restart: { minDelay: '0s', limit: 3 } },
  });
  await using start = home.begin(['start', file]);
  for (const name of ['missing', 'late', 'limited']) await home.record('failed', `${name}:0`);
  const sentences = async (name: string) => (await whyOf(home, name)).cause;
  expect((await sentences('missing')).sentence).toMatch(/^it could not be started: .*no-such-program/);
  expect((await sentences('late')).sentence).toBe(
    'it was not ready within 300ms, so gsup ended it; its check (log) said nothing',
  );
  expect(await sentences('waiting')).toMatchObject({
    sentence: 'it waits for slow (ready), on which waiting depends',
    next: 'gsup why slow',
  });
  expect((await sentences('slow')).kind).toBe('starting');
  const limited = await whyOf(home, 'limited');
  expect(limited.cause.sentence).toMatch(
    /^given up after 3 restarts in .* \(restart.limit is 3 in 1m\); the last end: it ended by itself after .* with exit 1$/,
  );
  expect(limited.ends.map(({ outcome }) => outcome)).toEqual([
    'again at once',
    'again at once',
    'again at once',
    'given up',
  ]);
  start.kill('SIGKILL');
});

test.concurrent('gsup restarts: by a liveness check, above a memory limit', async () => {
  await using home = new Home();
  const file = writeServices(home, {
    sick: { command: 'sleep 1000', live: { exec: 'false', interval: '100ms', failureThreshold: 2 } },
    fat: { command: [NODE, '-e', 'setInterval(() => {}, 1e6)'], limits: { memory: '1MB' } },
  });
  await home.run(['start', file]);
  await home.record('spawned', 'sick:0', 2);
  expect((await whyOf(home, 'sick')).cause.sentence).toMatch(
    /gsup ended it: its liveness check failed 2 of 2 times in a row: /,
  );
  await home.record('spawned', 'fat:0', 2);
  const { cause } = await whyOf(home, 'fat');
  expect(cause).toMatchObject({
    kind: 'memory-limit',
    sentence: expect.stringMatching(/: gsup restarted it: its memory .* is above its limit of /),
  });
});

test.concurrent('a reload that failed is told with the end of what was to come, and that the old one goes on', async () => {
  await using home = new Home();
  const port = await freePort();
  const script = release(home, 'http.mjs');
  await home.ok([
    'start',
    writeServices(home, { api: web(port, { script, instances: 1, ready: { log: '^listening', timeout: '5s' } }) }),
  ]);
  release(home, 'broken.mjs');
  expect((await home.run(['reload', 'api'])).status).toBe(1);
  const { cause, view } = await whyOf(home, 'api');
  expect(view.state).toBe('running');
  expect(cause.kind).toBe('reload-given-up');
  expect(cause.sentence).toMatch(
    /the last rolling restart was given up .* ago, and what served before goes on: it ended by itself after .* with exit 1, before it was ready/,
  );
});

test.concurrent('what ended while no daemon watched is unknown, never invented', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...AT_ONCE, '--', 'sleep', '1000']);
  const pid = (await home.pids())['api:0'] ?? 0;
  await home.killDaemon();
  process.kill(pid, 'SIGKILL');
  await home.gone(pid);
  await home.ok(['ls']);
  await home.record('exited', 'api:0');
  await home.record('ready', 'api:0', 2);
  expect((await whyOf(home, 'api')).cause).toMatchObject({
    kind: 'unknown',
    sentence: expect.stringMatching(/: it ended when no daemon watched: how, nobody was there to be told$/),
  });
});

test.concurrent('the command: one screen of 80 columns, JSON, plain ASCII without a UTF-8 locale, no secrets, 4 for an unknown name', async () => {
  await using home = new Home();
  const env = { API_TOKEN: 'hush-hush-hush', LC_ALL: 'C' };
  const line = 'echo "token $API_TOKEN refused … 140 %" >&2; exit 1';
  await home.run(['start', '--name', 'api', '-i', '2', ...NEVER, '--', 'sh', '-c', line], { env });
  await home.record('failed', 'api:1');
  const { stdout } = await home.ok(['why', 'api'], { env });
  expect(stdout).toMatch(/^api:0 {4}failed: exit 1, restart policy never\n/);
  expect(stdout).toContain('\nothers   api:1 failed\n');
  expect(stdout).toContain('  | token ******** refused ~ 140 %\n');
  expect(stdout).toMatch(/\nbudget {3}app 9s < grace 10s\nnext {5}gsup logs api:0 --stderr -n 100\n$/);
  expect(stdout.split('\n').filter((one) => one.length > 80)).toEqual([]);
  expect(stdout).not.toMatch(/\P{ASCII}/u);
  expect(stdout).not.toContain('hush');
  expect(JSON.parse((await home.ok(['why', 'api:1', '--json'])).stdout)).toMatchObject({ view: { instance: 'api:1' } });
  const { status, stderr } = await home.run(['why', 'apo']);
  expect([status, stderr]).toEqual([4, 'gsup: no service apo\n  did you mean api?\n']);
});
