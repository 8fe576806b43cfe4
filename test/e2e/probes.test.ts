import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { freePort, isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { serving, writeServices } from '../kit/rolling.ts';

/** Speaks systemd's protocol: its arguments, one message each, with a socket of its own for each; `#` waits for SIGUSR1. */
const SPEAKER = `import os, signal, socket, sys, threading, time
go = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: go.set())
address = os.environ['NOTIFY_SOCKET']
def say(message):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), '\\0' + address[1:] if address[0] == '@' else address)
for message in sys.argv[1:]:
    if message == '#':
        print('waiting', flush=True)
        while not go.wait(0.02): pass
    else:
        say(message.replace('|', '\\n'))
print('said', flush=True)
while True: signal.pause()
`;

/** Answers /livez with 200, from SIGUSR2 on with 500; says how many it has answered. */
const SICKENING = `
import { createServer } from 'node:http';
let [status, answered] = [200, 0];
process.on('SIGUSR2', () => { status = 500; console.log('sick'); });
createServer((request, response) => {
  // Before the answer: the third bad one ends it.
  console.log(request.url + ' ' + status + ' ' + ++answered);
  response.writeHead(status).end();
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
`;

test.concurrent('ready by notify: READY=1, and not before it', async () => {
  await using home = new Home();
  const script = home.write('app.py', SPEAKER);
  const args = ['STATUS=warming up', '#', 'READY=1|STATUS=at work'];
  const file = writeServices(home, { api: { script, args, ready: 'notify' } });
  await using start = home.begin(['start', file]);
  await home.said('api:0', /^waiting/);
  const { pid, state, ready } = await home.instance('api:0');
  expect({ state, ready }).toEqual({ state: 'starting', ready: false });
  process.kill(Number(pid), 'SIGUSR1');
  expect(await start.status()).toBe(0);
  expect(await home.instance('api:0')).toMatchObject({ pid, state: 'running', ready: true });
  expect((await home.record('ready')).reason ?? '').not.toBe('');
});

test.skipIf(spawnSync('systemd-notify', ['--version']).status !== 0)(
  'ready by notify from a shell: systemd-notify is a process of the instance',
  async () => {
    await using home = new Home();
    const command = ['sh', '-c', 'systemd-notify --ready && exec sleep 1000'];
    await home.ok(['start', writeServices(home, { api: { command, ready: 'notify' } })]);
    expect(await serving(home)).toHaveLength(1);
  },
);

test.concurrent('ready by fd: a line on the descriptor, from a shell too', async () => {
  await using home = new Home();
  const shell = 'echo begun; while ! [ -e go ]; do sleep 0.02; done; echo >&3; exec 3>&-; exec sleep 1000';
  const service = { command: ['sh', '-c', shell], cwd: home.folder, ready: { fd: 3 } };
  await using start = home.begin(['start', writeServices(home, { api: service })]);
  await home.said('api:0', /^begun/);
  expect(await home.instance('api:0')).toMatchObject({ state: 'starting', ready: false });
  home.write('go', '');
  expect(await start.status()).toBe(0);
  expect(await home.instance('api:0')).toMatchObject({ state: 'running', ready: true });
});

test.concurrent('ready by fd: one that closes the descriptor without a line has not become ready', async () => {
  await using home = new Home();
  const command = ['sh', '-c', 'exec 3>&-; exec sleep 1000'];
  const service = { command, ready: { fd: 3, timeout: '1s' }, restart: 'never' };
  expect((await home.run(['start', writeServices(home, { api: service })])).status).not.toBe(0);
  expect(home.phases('api:0')).not.toContain('ready');
});

test.concurrent('EXTEND_TIMEOUT_USEC=: one that asks for more time gets ready after its timeout', async () => {
  await using home = new Home();
  const script = home.write('app.py', SPEAKER);
  const args = ['EXTEND_TIMEOUT_USEC=10000000', '#', 'READY=1'];
  const service = { script, args, ready: { notify: true, timeout: '1s' }, restart: 'never' };
  // Its timeout has passed when another one of the same length, begun later, is over.
  const other = { command: ['sleep', '1000'], ready: { exec: ['false'], timeout: '1s' }, restart: 'never' };
  const file = writeServices(home, { api: service, late: { ...other, dependsOn: { api: 'started' } } });
  await using start = home.begin(['start', file]);
  await home.record('ready-timeout', 'late:0');
  const { pid, state } = await home.instance('api:0');
  expect(state).toBe('starting');
  process.kill(Number(pid), 'SIGUSR1');
  await home.record('ready', 'api:0');
  await start.ended;
  expect(home.phases('api:0')).not.toContain('ready-timeout');
});

test.concurrent('liveness by http: three bad answers, each recorded, the ladder, a restart', async () => {
  await using home = new Home();
  const port = await freePort();
  const script = home.write('app.mjs', SICKENING);
  const live = { http: `http://127.0.0.1:${port}/livez`, interval: '100ms', failureThreshold: 3 };
  const service = { script, env: { PORT: String(port) }, ready: { log: '^listening' }, live };
  await home.ok(['start', writeServices(home, { api: service })]);
  const [sick] = await serving(home);
  await home.said('api:0', /livez 200 3/);
  process.kill(Number(sick), 'SIGUSR2');
  await home.record('ready', 'api:0', 2);
  expect(isAlive(Number(sick))).toBe(false);
  const phases = home.phases('api:0').filter((phase) => phase !== 'backoff');
  const ladder = ['stop-requested', 'signal-sent', 'exited', 'logs-drained', 'stopped'];
  const sickly = ['unhealthy', 'unhealthy', 'unhealthy'];
  expect(phases).toEqual(['spawned', 'ready', ...sickly, ...ladder, 'spawned', 'ready']);
  expect((await home.record('unhealthy')).msg).toMatch(/^liveness check failed \(1 of 3\): .*500/);
  expect((await home.record('stop-requested')).reason).toMatch(/^liveness: .*500/);
  expect(home.lines('api:0').filter((line) => / 500 /.test(line))).toHaveLength(3);
  expect((await home.instance('api:0')).restarts).toBe(1);
});

test.concurrent('liveness: fewer bad answers than the threshold, and it stays', async () => {
  await using home = new Home();
  const port = await freePort();
  const script = home.write(
    'app.mjs',
    SICKENING.replace('let [status', 'let bad = 2, [status').replace(
      'writeHead(status)',
      'writeHead(answered % 5 < bad ? 500 : 200)',
    ),
  );
  const live = { http: `http://127.0.0.1:${port}/livez`, interval: '20ms', failureThreshold: 3 };
  const service = { script, env: { PORT: String(port) }, ready: { log: '^listening' }, live };
  await home.ok(['start', writeServices(home, { api: service })]);
  const before = await serving(home);
  await home.said('api:0', /livez 200 30$/);
  expect(await serving(home)).toEqual(before);
  expect(new Set(home.phases('api:0'))).toEqual(new Set(['spawned', 'ready', 'unhealthy']));
});

test.concurrent('liveness is not asked while it stops', async () => {
  await using home = new Home();
  const port = await freePort();
  const script = home.write(
    'app.mjs',
    `${SICKENING}process.on('SIGTERM', () => { console.log('ending'); setTimeout(() => process.exit(0), 500); });`,
  );
  const live = { http: `http://127.0.0.1:${port}/livez`, interval: '20ms', failureThreshold: 1 };
  const service = { script, env: { PORT: String(port) }, ready: { log: '^listening' }, live };
  await home.ok(['start', writeServices(home, { api: service })]);
  await home.said('api:0', /livez 200 3/);
  await home.ok(['stop', 'api']);
  const lines = home.lines('api:0');
  // One may have been on its way.
  expect(lines.slice(lines.indexOf('ending') + 1).length).toBeLessThanOrEqual(1);
  expect(home.phases('api:0')).not.toContain('unhealthy');
});

test.concurrent('liveness by notify: WATCHDOG=1 in time keeps it, silence restarts it', async () => {
  await using home = new Home();
  const ping = `import os, signal, socket, time
is_silent = False
def hush(*_):
    global is_silent
    is_silent = True
signal.signal(signal.SIGUSR1, hush)
address = os.environ['NOTIFY_SOCKET']
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.connect('\\0' + address[1:] if address[0] == '@' else address)
channel.sendall(b'READY=1')
print('WATCHDOG_USEC', os.environ['WATCHDOG_USEC'], flush=True)
pings = 0
while True:
    time.sleep(int(os.environ['WATCHDOG_USEC']) / 4e6)
    if not is_silent:
        channel.sendall(b'WATCHDOG=1')
        pings += 1
        print('ping', pings, flush=True)
`;
  const script = home.write('app.py', ping);
  const live = { notify: true, interval: '200ms', failureThreshold: 3 };
  await home.ok(['start', writeServices(home, { api: { script, ready: 'notify', live } })]);
  const [first] = await serving(home);
  expect(await home.said('api:0', /^WATCHDOG_USEC/)).toBe('WATCHDOG_USEC 600000');
  await home.said('api:0', /^ping 10$/);
  expect(home.phases('api:0')).toEqual(['spawned', 'ready']);
  process.kill(Number(first), 'SIGUSR1');
  await home.record('unhealthy', 'api:0');
  await home.record('ready', 'api:0', 2);
  expect(isAlive(Number(first))).toBe(false);
  expect(await serving(home)).not.toEqual([first]);
});

test.concurrent('a liveness check goes on with the instance after a kill -9 of the daemon', async () => {
  await using home = new Home();
  const port = await freePort();
  const script = home.write('app.mjs', SICKENING);
  const live = { http: `http://127.0.0.1:${port}/livez`, interval: '100ms', failureThreshold: 3 };
  const service = { script, env: { PORT: String(port) }, ready: { log: '^listening' }, live };
  await home.ok(['start', writeServices(home, { api: service })]);
  const [sick] = await serving(home);
  await home.killDaemon();
  await home.ok(['ls']);
  process.kill(Number(sick), 'SIGUSR2');
  await home.record('unhealthy', 'api:0');
  await home.record('ready', 'api:0', 2);
  expect(isAlive(Number(sick))).toBe(false);
});

test.concurrent('READY=1 that is said to the next daemon after a kill -9 counts', async () => {
  await using home = new Home();
  const script = home.write('app.py', SPEAKER);
  const file = writeServices(home, { api: { script, args: ['#', 'READY=1'], ready: 'notify' } });
  await using start = home.begin(['start', file]);
  await home.said('api:0', /^waiting/);
  const { pid } = await home.instance('api:0');
  await home.killDaemon();
  await start.ended;
  await home.ok(['ls']);
  await home.record('adopted', 'api:0');
  process.kill(Number(pid), 'SIGUSR1');
  await home.record('ready', 'api:0');
  expect(await serving(home)).toEqual([pid]);
});
