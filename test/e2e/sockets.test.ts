import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { ask, servicePort, startLoad } from '../kit/load.ts';
import { rollingApp, serving, web, writeServices } from '../kit/rolling.ts';

const TELLS_LISTEN = `import os, signal, sys
print('pid', os.getpid(), flush=True)
for name in ('LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'):
    print(name, os.environ.get(name), flush=True)
print('up', flush=True)
signal.pause()
`;

/** Listens as any app does, then tells what it sees, and what a child of it sees. */
const TELLS_ALL = `
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
const look = 'const fs = require("fs"); const fds = fs.readdirSync("/proc/self/fd").flatMap((fd) => { try { return [fs.readlinkSync("/proc/self/fd/" + fd)]; } catch { return []; } }); console.log(JSON.stringify({ fds, env: Object.keys(process.env), execArgv: process.execArgv }));';
const server = createServer((_, response) => response.end(process.pid + ' \\n'));
server.listen(Number(process.env.PORT), '127.0.0.1', () => {
  const child = JSON.parse(execFileSync(process.execPath, ['-e', look], { encoding: 'utf8' }));
  console.log(JSON.stringify({ env: Object.keys(process.env), execArgv: process.execArgv, argv: process.argv, child }));
  console.log('listening');
});
`;

test.concurrent('a program gets LISTEN_FDS, its own pid in LISTEN_PID, and the names of its sockets', async () => {
  await using home = new Home();
  const script = home.write('app.py', TELLS_LISTEN);
  const [one, other] = [await servicePort(), await servicePort()];
  const sockets = { http: `127.0.0.1:${one}`, admin: `127.0.0.1:${other}` };
  await home.ok(['start', writeServices(home, { api: { script, sockets, ready: { log: '^up' } } })]);
  const [pid] = await serving(home);
  expect(home.lines('api:0')).toEqual([
    `pid ${pid}`,
    'LISTEN_FDS 2',
    `LISTEN_PID ${pid}`,
    'LISTEN_FDNAMES http:admin',
    'up',
  ]);
});

test.concurrent('without sockets there is no LISTEN_FDS', async () => {
  await using home = new Home();
  const script = home.write('app.py', TELLS_LISTEN);
  await home.ok(['start', writeServices(home, { api: { script, ready: { log: '^up' } } })]);
  const none = ['LISTEN_FDS None', 'LISTEN_PID None', 'LISTEN_FDNAMES None'];
  expect(home.lines('api:0').slice(1, -1)).toEqual(none);
});

test.concurrent('a Node app sees nothing of how it gets its socket, and its children do not get it', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = home.write('app.mjs', TELLS_ALL);
  await home.ok(['start', writeServices(home, { api: web(port, { script }) })]);
  const told = JSON.parse(home.lines('api:0')[0] ?? '');
  const ours = (names: string[]) => names.filter((name) => name === 'NODE_OPTIONS' || /SOCKET/.test(name));
  expect(ours(told.env)).toEqual([]);
  expect(ours(told.child.env)).toEqual([]);
  expect(told.execArgv).toEqual([]);
  expect(told.child.execArgv.filter((word: string) => word !== '-e')).not.toContain(
    expect.stringMatching(/require|import/),
  );
  expect(told.argv[1]).toBe(script);
  const [pid] = await serving(home);
  const listening = listeningInode(port);
  expect(descriptorsOf(Number(pid))).toContain(listening);
  expect(told.child.fds).not.toContain(listening);
  expect(await ask(port)).toBe(`${pid} \n`);
});

test.concurrent("NODE_OPTIONS of the user's own is kept", async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = home.write(
    'app.mjs',
    `console.log(process.env.NODE_OPTIONS, process.title); await import(${JSON.stringify(rollingApp('http.mjs'))})`,
  );
  const env = { NODE_OPTIONS: '--title=mine' };
  await home.ok(['start', writeServices(home, { api: web(port, { script, env }) })]);
  expect(home.lines('api:0')[0]).toBe('--title=mine mine');
  expect(await ask(port)).toBe(`${(await serving(home))[0]} \n`);
});

test.concurrent('the address is bound before anything is started: one that is in use is an error, and nothing runs', async () => {
  await using home = new Home();
  await using other = new Home();
  const port = await servicePort();
  await other.ok(['start', writeServices(other, { api: web(port) })]);
  const [holder] = await serving(other);
  const { status, stderr } = await home.run(['start', writeServices(home, { api: web(port) })]);
  expect(status).toBe(1);
  expect(stderr).toContain(`127.0.0.1:${port}`);
  expect(home.records.filter(({ phase }) => phase === 'spawned')).toEqual([]);
  expect(await ask(port)).toBe(`${holder} \n`);
});

test.concurrent('delete frees the address', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port) })]);
  await home.ok(['stop', 'api']);
  await home.ok(['delete', 'api']);
  await expect(ask(port)).rejects.toThrow('ECONNREFUSED');
  await home.ok(['start', writeServices(home, { other: web(port) })]);
  expect(await ask(port)).toBe(`${(await serving(home, 'other'))[0]} \n`);
});

test.concurrent('an app that listens on every address gets the socket of every address', async () => {
  await using home = new Home();
  const port = await servicePort();
  const service = web(port, { env: { HOST: '' }, sockets: { http: `[::]:${port}` } });
  await home.ok(['start', writeServices(home, { api: service })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await home.ok(['reload', 'api']);
  expect((await load.stop()).reasons).toEqual({});
  expect(await serving(home)).not.toEqual(before);
});

test.concurrent('a Unix socket is handed over with its mode, survives a reload, and is gone after delete', async () => {
  await using home = new Home();
  const path = join(home.folder, 'web.sock');
  const script = home.write(
    'app.mjs',
    `import { createServer } from 'node:http';
const server = createServer((_, response) => response.end(process.pid + ' \\n')).listen(${JSON.stringify(path)}, () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => process.exit(0)));`,
  );
  const sockets = { http: { address: path, mode: '0660' } };
  await home.ok(['start', writeServices(home, { api: web(0, { script, sockets }) })]);
  expect((statSync(path).mode & 0o777).toString(8)).toBe('660');
  const before = await serving(home);
  expect(await askUnix(path)).toBe(`${before[0]} \n`);
  await home.ok(['reload', 'api']);
  const after = await serving(home);
  expect(after).not.toEqual(before);
  expect(await askUnix(path)).toBe(`${after[0]} \n`);
  await home.ok(['delete', 'api']);
  expect(existsSync(path)).toBe(false);
});

test('run --socket hands a socket to one command', async () => {
  const port = await servicePort();
  const args = ['run', '--socket', `http=127.0.0.1:${port}`, '--ready', 'log:^listening', rollingApp('http.mjs')];
  await using gsup = new Gsup(args, { env: { PORT: String(port) } });
  const { pid } = await gsup.record('ready');
  expect(await ask(port)).toBe(`${pid ?? (await gsup.record('spawned')).pid} \n`);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});

test('run -c: a SIGHUP after a change of the file is a rolling apply, and no request fails', async () => {
  await using home = new Home();
  const port = await servicePort();
  const write = (VERSION: string) => writeServices(home, { api: web(port, { instances: 2, env: { VERSION } }) });
  await using gsup = new Gsup(['run', '-c', write('1')]);
  await gsup.record('ready', 'api', 2);
  await using load = startLoad({ port });
  await load.until('version 1', ({ versions }) => (versions['1'] ?? 0) > 0);
  write('2');
  gsup.kill('SIGHUP');
  await gsup.record('rolling-completed', 'api');
  await load.until('version 2', ({ versions }) => (versions['2'] ?? 0) > 0);
  expect((await load.stop()).reasons).toEqual({});
  await using later = startLoad({ port, maxRequests: 100 });
  await later.until('100 answers', ({ ok }) => ok === 100);
  expect(later.report.versions).toEqual({ '2': 100 });
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});

test('run -c: a SIGHUP with a file that has mistakes changes nothing, and says each with its place', async () => {
  await using home = new Home();
  const port = await servicePort();
  await using gsup = new Gsup(['run', '-c', writeServices(home, { api: web(port) })]);
  const { pid } = await gsup.record('spawned', 'api');
  await gsup.record('ready', 'api');
  writeServices(home, { api: web(port, { instnaces: 2 }) });
  gsup.kill('SIGHUP');
  await gsup.until('the mistake', () =>
    gsup.records.find(({ msg }) => msg.includes('unknown key "instnaces" in services.api')),
  );
  expect(await ask(port)).toBe(`${pid} \n`);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});

/** `socket:[INODE]` of what listens on this port. */
function listeningInode(port: number): string {
  const address = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  const fields = lines
    .map((line) => line.trim().split(/\s+/))
    .find(([, at, , state]) => at?.endsWith(`:${address}`) && state === '0A');
  if (fields === undefined) throw new Error(`nothing listens on ${port}`);
  return `socket:[${fields[9]}]`;
}

function descriptorsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

function askUnix(socketPath: string): Promise<string> {
  return new Promise((answered, failed) => {
    const call = request({ socketPath, agent: false, timeout: 15_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => answered(body));
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', failed);
    call.end();
  });
}
