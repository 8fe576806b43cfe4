/** Texts that others write: none of them keeps the daemon busy, shows a secret, or acts on a terminal. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

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

test.concurrent('an expression of gsup logs that takes for ever keeps only its own command busy, and Ctrl-C ends it', async () => {
  await using home = new Home();
  const line = 'x'.repeat(40);
  await home.ok(['start', '--name', 'api', '--', 'sh', '-c', `echo ${line}; echo fine; exec sleep 1000`]);
  await home.said('api:0', /fine/);
  for (const more of [[], ['--lines', '2']]) {
    await using logs = home.begin(['logs', 'api', '--grep', '(x+x+)+y', ...more]);
    // It is at it when it has used a second of a processor.
    await home.until('a busy command', () => (secondsOf(logs.child.pid ?? 0) > 1 ? true : undefined));
    const began = performance.now();
    expect(await home.instance('api:0')).toMatchObject({ state: 'running' });
    expect(performance.now() - began).toBeLessThan(2_000);
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

/** Of processor time that a process has used: fields 14 and 15 of proc_pid_stat(5), in hundredths. */
function secondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
