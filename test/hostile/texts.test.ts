/** Texts that others write: none of them keeps the daemon busy, shows a secret, or acts on a terminal. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { ALL_HOSTILE } from '../kit/hostile.ts';

/** A server of somebody's health, for checks that need one. */
async function healthy(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((_, response) => response.end('well'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TRAP = 'trap : TERM; while :; do sleep 0.1; done';

/** A service that has a secret in every place that may have one; each is known by its own word. */
function secretive(port: number): string {
  return `
services:
  api:
    command: [sh, -c, "sh -c '${TRAP}' x --password planted-pw http://u:planted-pw2@h/ planted-env & exec sleep 1000"]
    env: { TOKEN: planted-env, DB: "pg://u:planted-db@h/x" }
    ready: { http: "http://admin:planted-url@127.0.0.1:${port}/?token=planted-query&x=planted-env" }
    live: { exec: "true --token planted-live planted-env http://u:planted-db@h/", interval: 100ms }
    stop: { grace: 1s, preStop: { exec: "true --secret planted-hook planted-env" } }
  sick:
    command: [sh, -c, "echo planted-env http://u:planted-db@h >&2; exit 3 # --password planted-pw"]
    env: { TOKEN: planted-env, DB: "pg://u:planted-db@h/x" }
    restart: never
  late:
    command: [sleep, "1000"]
    env: { TOKEN: planted-env }
    restart: never
    ready: { exec: "/planted-env --token planted-live", interval: 50ms, timeout: 300ms }
`;
}

test.concurrent('a secret of a service is neither shown nor recorded, whatever place it stands in', async () => {
  await using home = new Home();
  await using server = await healthy();
  const port = await freePort();
  const file = home.write('supervisor.yaml', `http: { listen: ${port} }\n${secretive(server.port)}`);
  const seen: Record<string, string> = {};
  const run = async (...args: string[]) => {
    const { stdout, stderr } = await home.run(args);
    seen[args.join(' ')] = stdout + stderr;
  };
  await run('apply', '-c', file);
  await home.record('failed', 'sick:0');
  await home.record('failed', 'late:0');
  await run('start', 'sick', '--json');
  for (const path of ['instances', 'events', 'why?name=sick:0', 'timeline?service=api', 'logs?name=sick']) {
    const ended = new AbortController();
    const answer = await fetch(`http://127.0.0.1:${port}/api/${path}`, { signal: ended.signal });
    const reader = answer.body?.getReader();
    const { value = new Uint8Array() } = (await reader?.read()) ?? {};
    seen[path] = Buffer.from(value).toString();
    ended.abort();
  }
  for (const name of ['api', 'sick', 'late'])
    for (const args of [['show'], ['show', '--json'], ['why'], ['why', '--json'], ['logs'], ['env']])
      await run(args[0] ?? '', name, ...args.slice(1));
  await run('stop', 'api');
  await home.record('survivors-killed', 'api:0');
  for (const args of [
    ['ls', '--json'],
    ['ls', '--wide'],
    ['events'],
    ['events', '--json'],
    ['timeline'],
    ['timeline', '--json'],
  ])
    await run(...args);
  await run('why', 'api');
  seen['events.ndjson'] = home.read('events.ndjson');
  const leaks = Object.entries(seen).flatMap(([what, text]) =>
    [...text.matchAll(/.{0,50}planted-.{0,20}/g)].map(([around]) => `${what}: ${around}`),
  );
  expect(leaks).toEqual([]);
  expect(seen['show api']).toContain('http://admin:********@');
  expect(seen['events.ndjson']).toContain('survivors-killed');
  expect(seen['why sick']).toContain('********');
});

test.concurrent('gsup run shows no secret in its records either', async () => {
  await using home = new Home();
  await using server = await healthy();
  const file = home.write('supervisor.yaml', secretive(server.port));
  await using gsup = home.begin(['run', '-c', file, 'api', 'late', '--log-format', 'json']);
  await gsup.record('ready', 'api');
  await gsup.record('failed', 'late');
  gsup.kill('SIGTERM');
  await gsup.status();
  expect(gsup.records.map(({ phase }) => phase)).toContain('survivors-killed');
  expect(gsup.records.filter((record) => JSON.stringify(record).includes('planted-'))).toEqual([]);
});

test.concurrent('nor does a drill', async () => {
  await using home = new Home();
  const file = home.write(
    'supervisor.yaml',
    `
services:
  lingering:
    command: [sh, -c, "sh -c '${TRAP}' x --password planted-pw ${'y'.repeat(60)} planted-env & exec sleep 1000"]
    env: { TOKEN: planted-env }
    stop: { grace: 300ms }
  sick:
    command: [sh, -c, "echo planted-env >&2; exit 3"]
    env: { TOKEN: planted-env }
    restart: never
`,
  );
  for (const [args, word] of [
    [['lingering', '--duration', '200ms'], 'outlived it'],
    [['lingering', '--duration', '200ms', '--json'], '"survivors"'],
    [['sick', '--duration', '200ms'], 'cannot drill sick'],
  ] as const) {
    const { stdout, stderr } = await home.run(['drill', '-c', file, ...args]);
    expect(stdout + stderr).toContain(word);
    expect(stdout + stderr).not.toContain('planted-');
  }
});

test.concurrent('a variable as large as the kernel allows does not keep the daemon busy', async () => {
  await using home = new Home();
  const large = ['a'.repeat(120_000), 'x://:'.repeat(24_000)].map((value, n) => `V${n}=${value}\n`).join('');
  const many = Array.from({ length: 3_000 }, (_, n) => `TOKEN_${n}=abcdef${n}\n`).join('');
  const envFile = home.write('large.env', large + many);
  await home.ok([
    'start',
    '--name',
    'api',
    '--env-file',
    envFile,
    '--',
    'sh',
    '-c',
    'echo the abcdef7 line; exec sleep 1000',
  ]);
  await home.said('api:0', /line/);
  // Each command has 15 s; before, one start took 40 s.
  expect((await home.ok(['logs', 'api', '--raw'])).stdout).toMatch(/^the \*+ ?line|^the \*+/);
  await home.ok(['restart', 'api']);
  expect((await home.record('spawned', 'api:0', 2)).pid).toBeGreaterThan(0);
});

test('an expression of gsup logs that takes for ever keeps only its own command busy, and Ctrl-C ends it', async () => {
  await using home = new Home();
  const line = 'x'.repeat(40);
  await home.ok(['start', '--name', 'api', '--', 'sh', '-c', `echo ${line}; echo fine; exec sleep 1000`]);
  await home.said('api:0', /fine/);
  for (const more of [[], ['--lines', '2']]) {
    await using logs = home.begin(['logs', 'api', '--grep', '(x+x+)+y', ...more]);
    // It is at it when it has used more of a processor than its start takes.
    await home.until('a busy command', () => (secondsOf(logs.child.pid ?? 0) > 0.7 ? true : undefined));
    const began = performance.now();
    expect(await home.instance('api:0')).toMatchObject({ state: 'running' });
    expect(performance.now() - began).toBeLessThan(10_000);
    logs.kill('SIGINT');
    expect(await logs.ended).toEqual({ code: null, signal: 'SIGINT' });
  }
});

test.concurrent('an expression of a readiness check that takes for ever is given up with its cause, and the daemon goes on', async () => {
  await using home = new Home();
  const file = home.write(
    'supervisor.yaml',
    `
services:
  api:
    command: [sh, -c, "for i in 1 2 3 4 5 6 7 8 9; do echo ${'x'.repeat(40)}; done; exec sleep 1000"]
    ready: { log: "(x+x+)+y", timeout: 1s }
    restart: never
  good:
    command: [sh, -c, "echo listening on 80; exec sleep 1000"]
    ready: { log: "^listening on \\\\d+$" }
`,
  );
  const { stdout, stderr } = await home.run(['apply', '-c', file]);
  expect(stdout + stderr).toContain('(x+x+)+y took more than 250ms and was given up');
  expect(await home.instance('good:0')).toMatchObject({ state: 'running', ready: true });
  expect(await home.record('ready-timeout', 'api:0')).toMatchObject({
    reason: expect.stringContaining('was given up'),
  });
});

test.concurrent('a report of an app that is nested without end is cut, and the daemon goes on', async () => {
  await using home = new Home();
  const app = home.write(
    'app.cjs',
    `
const link = require('node:net').connect(process.env.GSUP_LINK);
const say = (line) => link.write(line + '\\n');
say(JSON.stringify({ type: 'hello', id: process.env.GSUP_ID, pid: process.pid }));
say('{"type":"phase","phase":"deep","pending":{"a":' + '['.repeat(20000) + ']'.repeat(20000) + '}}');
say(JSON.stringify({ type: 'phase', phase: 'done' }));
`,
  );
  await home.ok(['start', app, '--name', 'api']);
  const pid = await home.daemonPid();
  await home.until('the last phase', () => home.read('events.ndjson').includes('"appPhase":"done"') || undefined);
  expect(home.read('events.ndjson')).toContain('"appPhase":"deep"');
  expect(await home.instance('api:0')).toMatchObject({ state: 'running' });
  expect(await home.daemonPid()).toBe(pid);
});

/** An argument can't have a NUL. */
const EVIL = ALL_HOSTILE.replaceAll('\u0000', '');
/** What acts on a terminal, newline and tab apart. */
const ACTING = /[\p{Bidi_Control}\u2028\u2029]|(?![\n\t])\p{Cc}/u;
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;:]*m`, 'g');

/** A service that writes hostile texts in every place that it can write to. */
function evilService(home: Home): string {
  const app = home.write(
    'evil.cjs',
    `
const EVIL = ${JSON.stringify(EVIL)};
const link = require('node:net').connect(process.env.GSUP_LINK);
const say = (message) => link.write(JSON.stringify(message) + '\\n');
say({ type: 'hello', id: process.env.GSUP_ID, pid: process.pid });
console.log(EVIL);
console.error(EVIL);
// Outlives its leader, in its group.
require('node:child_process').spawn('sh', ['-c', ${JSON.stringify(TRAP)}, EVIL], { stdio: 'ignore' });
process.on('SIGTERM', () => {
  say({ type: 'phase', phase: EVIL, pending: { [EVIL]: EVIL, names: [EVIL] } });
  say({ type: 'report', durationMs: 1, undone: [EVIL], errors: [EVIL] });
  link.end(() => process.exit(0));
});
say({ type: 'ready' });
console.log('all is said');
setInterval(() => {}, 1000);
`,
  );
  return home.write(
    'supervisor.yaml',
    `
services:
  api:
    script: ${app}
    args: [${JSON.stringify(EVIL)}]
    env: { EVIL: ${JSON.stringify(EVIL)} }
    stop: { grace: 1s }
  sick:
    command: [node, -e, "console.error(process.env.EVIL); process.exit(3)"]
    env: { EVIL: ${JSON.stringify(EVIL)} }
    restart: never
`,
  );
}

test.concurrent('no text of a process acts on the terminal or file that gsup prints it to', async () => {
  await using home = new Home();
  const file = evilService(home);
  const seen: Record<string, string> = {};
  const run = async (...args: string[]) => {
    const { stdout, stderr } = await home.run(args);
    seen[args.join(' ')] = stdout + stderr;
  };
  await run('apply', '-c', file);
  await home.said('api:0', /all is said/);
  for (const name of ['api', 'sick']) for (const what of ['show', 'why']) await run(what, name);
  await run('stop', 'api');
  for (const what of [['why', 'api'], ['events'], ['timeline'], ['ls', '--wide']]) await run(...what);
  for (const what of ['events', 'ls', 'timeline', 'why api', 'show api', 'logs', 'env api'])
    await run(...what.split(' '), '--json');
  seen['events.ndjson'] = home.read('events.ndjson');
  const acting = Object.entries(seen).filter(([, text]) => ACTING.test(text));
  expect(acting.map(([what, text]) => [what, ACTING.exec(text)?.[0], text.slice(0, 300)])).toEqual([]);
  for (const what of ['stop api', 'events', 'why sick', `apply -c ${file}`])
    expect(seen[what], what).toContain('PWNED');
  // No line that a process wrote looks like one of gsup's own.
  for (const text of Object.values(seen)) expect(text).not.toMatch(/^(12:00:00\.000|\+0\.001 {2}api:0 {2}ready)/m);
});

/** Runs a command on a terminal of its own; `null`, with the reason printed, where that can't be made. */
function onTerminal(home: Home, args: string): string | null {
  const command = `${process.env['TEST_NODE'] ?? process.execPath} ${join(import.meta.dirname, '../../bin/gsup.js')} ${args}`;
  const env = { ...process.env, GSUP_HOME: home.path, TERM: 'xterm-256color', NO_COLOR: '' };
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { env, input: '', timeout: 15_000 });
  if (status === null) console.warn('skipped: script(1) of util-linux makes terminals');
  return status === null ? null : stdout.toString();
}

test('gsup logs keeps colours on a terminal and drops all else that acts on it; a pipe gets every byte', async () => {
  await using home = new Home();
  await home.run(['apply', '-c', evilService(home)]);
  await home.said('api:0', /all is said/);
  const piped = (await home.ok(['logs', 'api', '--raw', '--lines', '1000'])).stdout;
  expect(piped).toContain('\u001b]52;c;cHduZWQ=\u0007');
  for (const args of [
    'logs api --raw --lines 1000',
    'logs --stderr',
    'logs --json',
    'env api',
    'stop api',
    'show api',
    'why api',
  ]) {
    const shown = onTerminal(home, args);
    if (shown === null) return;
    // How progress is drawn depends on the width.
    if (args !== 'stop api') expect(shown, args).toContain('PWNED');
    // The terminal itself ends lines with CR LF; how progress is drawn is ours.
    const text = shown.replaceAll('\r\n', '\n').replace(COLOUR, '');
    if (args !== 'stop api') expect({ args, acting: ACTING.exec(text)?.[0] ?? null }).toEqual({ args, acting: null });
    for (const acting of ['\u001b]', '\u001b[2J', '\u001b[?1049', '\u202e', '\u009b'])
      expect(shown, args).not.toContain(acting);
  }
  expect(onTerminal(home, 'logs api --raw --lines 1000')).toMatch(COLOUR);
});

test('several services that share a terminal can colour their lines, and nothing else', async () => {
  await using home = new Home();
  const shown = onTerminal(home, `run -c ${evilService(home)} sick`);
  if (shown === null) return;
  expect(shown).toContain('PWNED');
  expect(shown.replaceAll('\r\n', '\n').replace(COLOUR, '')).not.toMatch(ACTING);
});

/** Of processor time that a process has used: fields 14 and 15 of proc_pid_stat(5), in hundredths. */
function secondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
