import { expect, test } from 'vitest';
import { fixture, isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { Stage } from '../kit/puppet.ts';

/** Ready as soon as it runs: nobody waits for the second after which it would count as settled. */
const AT_ONCE = ['--ready', 'exec:true'];
const SLEEP = [...AT_ONCE, '--', 'sleep', '1000'];
const PUPPET = fixture('puppet.mjs');

test.concurrent('the start of an app that crashes exits 1 and shows the end of its stderr', async () => {
  await using home = new Home();
  const { status, stdout, stderr } = await home.run(['start', fixture('crashing.mjs'), '--restart', 'never']);
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('✗ crashing:0  failed: exit 1, restart policy never\n');
  expect(stderr).toContain('  the end of its stderr:\n  | last words\n');
});

test.concurrent('the start of a command that is not there exits 1 and says so', async () => {
  await using home = new Home();
  const { status, stderr } = await home.run(['start', '--name', 'api', '--', 'no-such-command']);
  expect(status).toBe(1);
  expect(stderr).toMatch(/✗ api:0 {2}failed: .*no-such-command/);
});

test.concurrent('the start waits until the service is ready; one that never gets ready exits 124', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const env = await stage.environment();
  await using start = home.begin(['start', PUPPET, '--name', 'api', '--ready', 'log:listening'], { env });
  const puppet = await stage.connected();
  expect(await home.instance('api:0')).toMatchObject({ state: 'starting', ready: false, hasCheck: true });
  expect(start.child.exitCode).toBe(null);
  await puppet.send({ act: 'print', text: 'listening\n' });
  expect(await start.status()).toBe(0);
  expect(start.stderr).toContain(`✓ api:0  ready as ${puppet.pid}\n`);
  const late = [
    'start',
    fixture('quiet.mjs'),
    '--ready',
    'log:never',
    '--ready-timeout',
    '100ms',
    '--restart',
    'never',
  ];
  const { status, stderr } = await home.run(late);
  expect(stderr).toContain('not ready within 100ms');
  expect(status).toBe(124);
});

test.concurrent('exit statuses: 2 for usage, 3 for what does not run, 4 for no such service, 78 for a bad file', async () => {
  await using home = new Home();
  const bad = home.write('supervisor.yaml', 'services: { api: { command: sleep 1000, grase: 1s } }');
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  await home.ok(['stop', 'api']);
  const statusOf = async (...args: string[]) => (await home.run(args)).status;
  expect(await statusOf('start')).toBe(2);
  expect(await statusOf('stop')).toBe(2);
  expect(await statusOf('scale', 'api', 'many')).toBe(2);
  expect(await statusOf('signal', 'SIGNOTHING', 'api')).toBe(2);
  expect(await statusOf('logs', '--since', 'yesterdayish')).toBe(2);
  expect(await statusOf('delete', 'api:0')).toBe(2);
  expect(await statusOf('signal', 'HUP', 'api')).toBe(3);
  for (const verb of ['start', 'stop', 'restart', 'delete', 'show', 'env', 'logs', 'ls'])
    expect(await statusOf(verb, 'nobody'), verb).toBe(4);
  expect(await statusOf('scale', 'nobody', '2')).toBe(4);
  expect(await statusOf('signal', 'HUP', 'nobody')).toBe(4);
  expect(await statusOf('stop', 'api:7')).toBe(4);
  expect(await statusOf('start', bad)).toBe(78);
  expect(await statusOf('apply', '-c', bad)).toBe(78);
});

test.concurrent('names that every object has are unknown like any other, and harm nobody', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const daemon = await home.daemonPid();
  for (const name of ['constructor', '__proto__']) {
    for (const verb of ['stop', 'show', 'start'])
      expect((await home.run([verb, name])).status, `${verb} ${name}`).toBe(4);
  }
  expect(await home.daemonPid()).toBe(daemon);
  expect(await home.ls()).toEqual([]);
});

test.concurrent('stop, start, restart, delete: instances by name and index, each with its outcome', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '-i', '2', ...SLEEP]);
  const before = await home.pids();
  expect(Object.keys(before)).toEqual(['api:0', 'api:1']);
  const stop = await home.ok(['stop', 'api:1']);
  expect(stop.stderr).toMatch(/✓ api:1 {2}stopped cleanly, \d+% of the grace period used\n/);
  expect(await home.pids()).toEqual({ 'api:0': before['api:0'], 'api:1': null });
  expect((await home.ok(['stop', 'api:1'])).stderr).toContain('✓ api:1  is not running\n');
  await home.ok(['restart', 'api']);
  const after = await home.pids();
  expect(after['api:0']).not.toBe(before['api:0']);
  expect(isAlive(Number(after['api:1']))).toBe(true);
  await home.ok(['delete', 'all']);
  expect(await home.ls()).toEqual([]);
  expect(home.alive()).toEqual(home.daemonPids());
});

test.concurrent('stop that needs SIGKILL exits 1 and says so; stop --json has the verdict', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('stubborn.mjs'), '--grace', '200ms', '--ready', 'log:ignoring']);
  const { status, stdout } = await home.run(['stop', 'stubborn', '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    exitStatus: 1,
    outcomes: [
      {
        instance: 'stubborn:0',
        isOk: false,
        verdict: 'killed',
        message: 'stopped with SIGKILL, 100% of the grace period used',
      },
    ],
  });
});

test.concurrent('Ctrl-C while waiting leaves the operation going on and says so', async () => {
  await using home = new Home();
  await using stage = new Stage();
  await home.ok(['start', PUPPET, '--name', 'api', '--grace', '1m', ...AT_ONCE], { env: await stage.environment() });
  const puppet = await stage.connected();
  await puppet.send({ act: 'report', signal: 'SIGTERM' });
  await using stop = home.begin(['stop', 'api']);
  await puppet.heard('SIGTERM');
  await home.record('signal-sent', 'api:0');
  await stop.until('the news', () => (stop.stderr.includes('SIGTERM to') ? true : undefined));
  stop.kill('SIGINT');
  expect(await stop.status()).toBe(130);
  expect(stop.stderr).toMatch(
    /no longer waiting after .*: the stop of api goes on in the daemon; "gsup ls" shows how far it is\n$/,
  );
  expect(await home.instance('api:0')).toMatchObject({ state: 'stopping' });
  await puppet.send({ act: 'exit' });
  expect(await home.record('stopped', 'api:0')).toMatchObject({ verdict: 'clean' });
});

test.concurrent('a client that is killed in the middle of a restart does not stop the restart', async () => {
  await using home = new Home();
  await using stage = new Stage();
  await home.ok(['start', PUPPET, '--name', 'api', '--grace', '1m', ...AT_ONCE], { env: await stage.environment() });
  const before = await stage.connected();
  await before.send({ act: 'report', signal: 'SIGTERM' });
  await using restart = home.begin(['restart', 'api']);
  await before.heard('SIGTERM');
  restart.kill('SIGKILL');
  await restart.ended;
  await before.send({ act: 'exit' });
  const after = await stage.connected();
  expect(after.pid).not.toBe(before.pid);
  expect((await home.ls()).map(({ pid }) => pid)).toEqual([after.pid]);
});

test.concurrent('commands on one service queue behind each other, not behind those of another', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const env = await stage.environment();
  await home.ok(['start', PUPPET, '--name', 'slow', '--grace', '1m', ...AT_ONCE], { env });
  const slow = await stage.connected();
  await slow.send({ act: 'report', signal: 'SIGTERM' });
  await home.ok(['start', '--name', 'quick', ...SLEEP]);
  await using stop = home.begin(['stop', 'slow']);
  await slow.heard('SIGTERM');
  await using start = home.begin(['start', 'slow']);
  await home.ok(['restart', 'quick']);
  await home.ok(['stop', 'quick']);
  expect(start.child.exitCode).toBe(null);
  expect(stop.child.exitCode).toBe(null);
  await slow.send({ act: 'exit' });
  expect(await stop.status()).toBe(0);
  const again = await stage.connected();
  expect(await start.status()).toBe(0);
  expect((await home.instance('slow:0')).pid).toBe(again.pid);
});

test.concurrent('scale: up at the end, down from the highest index, what stays keeps its pid', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const before = await home.pids();
  await home.ok(['scale', 'api', '4']);
  const four = await home.pids();
  expect(Object.keys(four)).toEqual(['api:0', 'api:1', 'api:2', 'api:3']);
  expect(four['api:0']).toBe(before['api:0']);
  await home.ok(['scale', 'api', '--', '-2']);
  const { 'api:2': two, 'api:3': three, ...left } = four;
  expect(await home.pids()).toEqual(left);
  expect([two, three].some((pid) => isAlive(Number(pid)))).toBe(false);
  await home.ok(['scale', 'api', '+1']);
  expect(Object.keys(await home.pids())).toEqual(['api:0', 'api:1', 'api:2']);
  await home.killDaemon();
  expect(Object.keys(await home.pids())).toEqual(['api:0', 'api:1', 'api:2']);
  await home.ok(['scale', 'api', '0']);
  expect(await home.ls()).toEqual([]);
  await home.ok(['scale', 'api', '1']);
  expect(Object.keys(await home.pids())).toEqual(['api:0']);
});

test.concurrent('apply: adds, changes, removes as its dry run has told; a change of only the grace period restarts nothing', async () => {
  await using home = new Home();
  const file = (services: string) => home.write('supervisor.yaml', `services:\n${services}`);
  const first =
    '  api: { command: [sleep, "1000"], ready: { exec: ["true"] } }\n  old: { command: [sleep, "1000"], ready: { exec: ["true"] } }\n';
  const path = file(first);
  await home.ok(['apply', '-c', path]);
  const before = await home.pids();
  file(
    '  api: { command: [sleep, "1000"], ready: { exec: ["true"] }, stop: { grace: 3s } }\n  new: { command: [sleep, "1000"], ready: { exec: ["true"] } }\n',
  );
  const plan = (await home.ok(['apply', '-c', path, '--dry-run'])).stdout;
  expect(plan).toBe('- old  stop and remove\n~ api  change without restart: stop\n+ new  add\n');
  expect(await home.pids()).toEqual(before);
  expect((await home.ok(['apply', '-c', path])).stdout).toBe(plan);
  const after = await home.pids();
  expect(after['api:0']).toBe(before['api:0']);
  expect(Object.keys(after).sort()).toEqual(['api:0', 'new:0']);
  expect((await home.ok(['show', 'api'])).stdout).toContain('grace 3s');
  file(
    '  api: { command: [sleep, "2000"], ready: { exec: ["true"] }, stop: { grace: 3s } }\n  new: { command: [sleep, "1000"], ready: { exec: ["true"] } }\n',
  );
  const json = JSON.parse((await home.ok(['apply', '-c', path, '--dry-run', '--json'])).stdout);
  expect(json).toMatchObject([
    { service: 'api', action: 'replace' },
    { service: 'new', action: 'none' },
  ]);
  await home.ok(['apply', '-c', path]);
  const changed = await home.pids();
  expect(changed['api:0']).not.toBe(after['api:0']);
  expect(changed['new:0']).toBe(after['new:0']);
});

test.concurrent('SIGHUP applies the file again, and services keep the environment that they were started with', async () => {
  await using home = new Home();
  const write = (grace: string, seconds: string) =>
    home.write('supervisor.yaml', `services: { api: { command: [sleep, "${seconds}"], stop: { grace: ${grace} } } }`);
  const path = write('1s', '1000');
  await home.ok(['apply', '-c', path], { env: { COLOUR_OF_CALLER: 'green' } });
  const { pid } = await home.instance('api:0');
  write('2s', '2000');
  process.kill(await home.daemonPid(), 'SIGHUP');
  // By a rolling restart: the old one leaves when the new one has shown that it lives.
  await home.record('stopped', 'api:0');
  expect((await home.instance('api:0')).pid).not.toBe(pid);
  expect((await home.ok(['env', 'api'])).stdout).toContain('COLOUR_OF_CALLER=green\n');
});

test.concurrent('a graph of a file: up in order, each when what it needs is ready; down in waves', async () => {
  await using home = new Home();
  const serve = (text: string) => `[sh, -c, "sleep 0.1; echo ${text}; exec sleep 1000"]`;
  const path = home.write(
    'supervisor.yaml',
    `services:
  web: { command: ${serve('web up')}, ready: { log: up }, dependsOn: [api] }
  api: { command: ${serve('api up')}, ready: { log: up }, dependsOn: { db: ready, migrate: completed } }
  migrate: { command: [sh, -c, "exit 0"], restart: { policy: never }, dependsOn: [db] }
  db: { command: ${serve('db up')}, ready: { log: up } }
`,
  );
  await home.ok(['start', path]);
  const order = home.records
    .filter(({ phase }) => phase === 'spawned' || phase === 'ready')
    .map(({ phase, service }) => `${service} ${phase}`);
  expect(order.filter((one) => one !== 'migrate ready')).toEqual([
    'db spawned',
    'db ready',
    'migrate spawned',
    'api spawned',
    'api ready',
    'web spawned',
    'web ready',
  ]);
  await home.ok(['stop', 'all']);
  await home.ok(['start', 'web']);
  expect((await home.ls()).map(({ service, state }) => `${service} ${state}`).sort()).toEqual([
    'api running',
    'db running',
    'migrate exited',
    'web running',
  ]);
  await home.ok(['kill']);
  const waves = home.records.filter(({ phase }) => phase === 'wave-started').map(({ instances }) => instances);
  expect(waves).toEqual([['web:0'], ['api:0'], ['db:0']]);
});

test.concurrent('a daemonising and a stubborn service end with their survivors under the daemon too', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('daemonising.mjs'), '--ready', 'log:daemon']);
  await home.ok([
    'start',
    '--name',
    'stubborn',
    '--grace',
    '200ms',
    '--ready',
    'log:ignoring',
    '--',
    'sh',
    fixture('ignores-everything.sh'),
  ]);
  const [, survivor] = /^daemon (\d+)$/.exec(home.lines('daemonising:0')[0] ?? '') ?? [];
  const { status, stderr } = await home.run(['stop', 'all']);
  expect(status).toBe(1);
  expect(stderr).toContain('✓ daemonising:0  stopped cleanly');
  expect(stderr).toContain('✗ stubborn:0  stopped with SIGKILL, 100% of the grace period used\n');
  expect(isAlive(Number(survivor))).toBe(false);
  expect(home.alive()).toEqual(home.daemonPids());
});

test.concurrent('values of secrets are masked in show, env, ls, events and logs', async () => {
  await using home = new Home();
  const secrets = ['tok-3fa85f64', 'pw-in-url-9c1', 'flag-secret-77', 'file-secret-42', 'pos-secret-13'];
  const file = home.write('secrets.env', 'FILE_SECRET=file-secret-42\n');
  const script = 'echo "it is $API_TOKEN"; echo "file $FILE_SECRET"; echo "db $DATABASE_URL"; echo up; exec sleep 1000';
  await home.ok([
    'start',
    '--name',
    'api',
    '--ready',
    'log:up',
    '--env',
    'API_TOKEN=tok-3fa85f64',
    '--env-file',
    file,
    '--env',
    'DATABASE_URL=postgres://user:pw-in-url-9c1@db/x',
    '--',
    'sh',
    '-c',
    script,
    'sh',
    '--password=flag-secret-77',
    'postgres://user:pos-secret-13@db/x',
  ]);
  const outputs: Record<string, string> = {};
  for (const args of [
    ['show', 'api'],
    ['show', 'api', '--json'],
    ['env', 'api'],
    ['env', 'api', '--json'],
    ['ls', '--json'],
    ['events', '--json'],
    ['logs', 'api'],
  ]) {
    const { stdout, stderr } = await home.ok(args);
    outputs[args.join(' ')] = stdout + stderr;
  }
  outputs['events.ndjson'] = home.read('events.ndjson');
  const leaks = Object.entries(outputs).flatMap(([name, text]) =>
    secrets.filter((secret) => text.includes(secret)).map((secret) => `${name}: ${secret}`),
  );
  expect(leaks).toEqual([]);
  expect(outputs['env api']).toContain('DATABASE_URL=postgres://user:********@db/x\n');
});

test.concurrent('an env file is read again at every start, and is stored as a reference', async () => {
  await using home = new Home();
  const file = home.write('app.env', 'COLOUR=green\n');
  await home.ok([
    'start',
    '--name',
    'api',
    '--env-file',
    file,
    '--ready',
    'log:up',
    '--',
    'sh',
    '-c',
    'echo "colour $COLOUR"; echo up; exec sleep 1000',
  ]);
  home.write('app.env', 'COLOUR=blue\n');
  await home.ok(['restart', 'api']);
  expect(home.lines('api:0')).toEqual(['colour green', 'up', 'colour blue', 'up']);
  expect(home.read('state.json')).not.toContain('blue');
});

test.concurrent("a restart keeps the environment of the start; --update-env takes the caller's, removed variables included; env --diff foretells it", async () => {
  await using home = new Home();
  const script = 'echo "$A-$B-$C"; echo up; exec sleep 1000';
  await home.ok(['start', '--name', 'api', '--ready', 'log:up', '--', 'sh', '-c', script], {
    env: { A: 'a1', B: 'b1' },
  });
  await home.ok(['restart', 'api'], { env: { A: 'a2', C: 'c2' } });
  const later = { env: { A: 'a2', C: 'c2' } };
  const diff = (await home.ok(['env', 'api', '--diff'], later)).stdout
    .split('\n')
    .filter((line) => / [ABC]=/.test(line));
  expect(diff).toEqual(['- A=a1', '+ A=a2', '- B=b1', '+ C=c2']);
  await home.ok(['restart', 'api', '--update-env'], later);
  expect(home.lines('api:0').filter((line) => line !== 'up')).toEqual(['a1-b1-', 'a1-b1-', 'a2--c2']);
  await home.killDaemon();
  await home.ok(['restart', 'api']);
  expect(home.lines('api:0').at(-2)).toBe('a2--c2');
});

test.concurrent('start with the name of another program is refused; the same one again changes nothing', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const before = await home.pids();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  expect(await home.pids()).toEqual(before);
  const { status, stderr } = await home.run(['start', '--name', 'api', '--', 'sleep', '2000']);
  expect(status).toBe(1);
  expect(stderr).toContain('gsup: there is another service api (sleep 1000 in ');
});

test.concurrent('a signal goes to the leaders of the instances that are named', async () => {
  await using home = new Home();
  await using stage = new Stage();
  await home.ok(['start', PUPPET, '--name', 'api', '-i', '2', ...AT_ONCE], { env: await stage.environment() });
  const both = [await stage.connected(), await stage.connected()];
  for (const puppet of both) await puppet.send({ act: 'report', signal: 'SIGHUP' });
  const one = both.find(({ hello }) => hello.env['GSUP_INSTANCE'] === '1');
  const other = both.find(({ hello }) => hello.env['GSUP_INSTANCE'] === '0');
  expect((await home.ok(['signal', 'hup', 'api:1'])).stderr).toBe('hup sent to 1 instance\n');
  await one?.heard('SIGHUP');
  await other?.send({ act: 'print', text: '' });
  expect(other?.unexpected).toEqual([]);
});

test.concurrent('a restart limit that is reached is told as failed, with why, and start begins anew', async () => {
  await using home = new Home();
  const options = ['--restart-delay', '0', '--max-restarts', '3'];
  const { status } = await home.run(['start', fixture('crashing.mjs'), ...options]);
  expect(status).toBe(1);
  await home.record('failed', 'crashing:0');
  const view = await home.instance('crashing:0');
  expect(view).toMatchObject({ state: 'failed', restarts: 3, lastExit: { code: 1, signal: null, by: 'self' } });
  expect(view.reason).toMatch(/^exit 1, restarted 3x in .* \(restart limit\)$/);
  expect((await home.ok(['ls'])).stdout).toMatch(/crashing:0 +failed: exit 1/);
});

test.concurrent('names over the table of ls fit 80 columns', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'a-service-with-a-name-that-is-much-too-long-for-any-table-at-all', ...SLEEP]);
  expect((await home.run(['start', fixture('crashing.mjs'), '--restart-delay', '10s'])).status).toBe(1);
  const { stdout } = await home.ok(['ls']);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});
