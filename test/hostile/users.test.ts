/** Services of other users: who they are, what they see of gsup, and what they can't make it do. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { asNobody, memberOfGroups, NOBODY, openFolder, testAsRoot } from '../kit/root.ts';

const TELL = 'echo "ids $(id -u) $(id -g) $(id -G)"; echo "home=$HOME user=$USER logname=$LOGNAME shell=$SHELL"; ';
const SLEEP = 'exec sleep 1000';
const GSUP = join(import.meta.dirname, '../../bin/gsup.js');
const passwd = (name: string): readonly string[] =>
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([one]) => one === name) ?? [];

function services(home: Home, all: Readonly<Record<string, object>>): string {
  return home.write('services.json', JSON.stringify({ services: all }));
}

testAsRoot(
  'a service of another user has the variables of that user, and none of the command that started it',
  async () => {
    await using home = new Home();
    const command = ['sh', '-c', `${TELL} env; ${SLEEP}`];
    const file = services(home, { api: { command, cwd: '/', user: 'nobody' } });
    await home.ok(['start', file], {
      env: { ROOT_API_TOKEN: 'secret-of-root', XDG_RUNTIME_DIR: '/run/user/0', TMPDIR: '/root/tmp', LANG: 'C.UTF-8' },
    });
    const [, , , , , homeFolder, shell] = passwd('nobody');
    expect(await home.said('api:0', /^home=/)).toBe(`home=${homeFolder} user=nobody logname=nobody shell=${shell}`);
    await home.said('api:0', /^NODE_APP_INSTANCE=/);
    const names = home.lines('api:0').map((line) => line.split('=')[0]);
    expect(names).toEqual(expect.arrayContaining(['PATH', 'LANG', 'GSUP_ID']));
    for (const name of ['ROOT_API_TOKEN', 'XDG_RUNTIME_DIR', 'TMPDIR', 'GSUP_HOME']) expect(names).not.toContain(name);
    const shown: string = (await home.ok(['env', 'api'])).stdout;
    expect(shown).toContain(`HOME=${homeFolder}`);
    expect(shown).not.toContain('ROOT_API_TOKEN');
  },
);

testAsRoot('with inheritEnv it inherits all the same, and its own env and env file have the last word', async () => {
  await using home = new Home();
  chmodSync(home.folder, 0o755);
  const envFile = home.write('app.env', 'LOGNAME=of-the-file\n');
  const file = services(home, {
    api: {
      command: ['sh', '-c', `${TELL} echo "asked=$ASKED"; ${SLEEP}`],
      cwd: '/',
      user: 'nobody',
      inheritEnv: true,
      env: { HOME: '/srv' },
      envFile,
    },
    own: { command: ['sh', '-c', `${TELL} echo "asked=$ASKED"; ${SLEEP}`], cwd: '/', user: 'root' },
  });
  await home.ok(['start', file], { env: { ASKED: 'yes', USER: 'somebody' } });
  expect(await home.said('api:0', /^home=/)).toContain('home=/srv user=nobody logname=of-the-file');
  expect(await home.said('api:0', /^asked=/)).toBe('asked=yes');
  // It is no other user than gsup's own.
  expect(await home.said('own:0', /^home=/)).toContain(`home=${passwd('root')[5]} user=root logname=root`);
  expect(await home.said('own:0', /^asked=/)).toBe('asked=yes');
});

testAsRoot('a number that no account has never runs with the group of root', async () => {
  await using home = new Home();
  const command = ['sh', '-c', `${TELL} ${SLEEP}`];
  const bare = services(home, { num: { command, cwd: '/', user: 12_345 } });
  const refused = await home.run(['start', bare]);
  expect(refused.status).toBe(1);
  expect(refused.stdout + refused.stderr).toContain('no account has this number');
  expect(home.lines('num:0')).toEqual([]);
  await home.ok(['start', services(home, { num: { command, cwd: '/', user: 12_345, group: 12_346 } })]);
  expect(await home.said('num:0', /^ids/)).toBe('ids 12345 12346 12346');
});

testAsRoot('a user that is unknown is refused before what runs is stopped', async () => {
  await using home = new Home();
  const command = ['sh', '-c', `${TELL} ${SLEEP}`];
  const rolling = { maxSurge: 0 };
  await home.ok(['start', services(home, { api: { command, cwd: '/', user: 'nobody', rolling } })]);
  const { pid } = await home.instance('api:0');
  for (const user of [12_345, 4_294_967_296, 'no-such-user']) {
    const file = services(home, { api: { command, cwd: '/', user, rolling } });
    const done = await home.run(['apply', '-c', file]);
    expect(done.status).toBe(1);
    expect(done.stderr).toContain(String(user));
    expect((await home.instance('api:0')).pid).toBe(pid);
  }
});

testAsRoot(
  'user, group and supplementary groups are those that a login would set, in checks and hooks too',
  async () => {
    const member = memberOfGroups();
    if (member === null) return console.warn('skipped: nobody in /etc/group is in a second group');
    await using home = new Home();
    const shared = openFolder(home.folder, 'shared');
    chmodSync(shared, 0o1777);
    const tell = (name: string) => ['sh', '-c', `echo "$(id -u) $(id -G) $HOME $USER" > ${shared}/${name}`];
    const file = services(home, {
      api: {
        command: ['sh', '-c', `${TELL} ${SLEEP}`],
        cwd: '/',
        user: member.name,
        ready: { exec: tell('ready') },
        stop: { preStop: { exec: tell('hook') } },
      },
    });
    await home.ok(['start', file]);
    const said = await home.said('api:0', /^ids/);
    const groupsOf = (text: string) =>
      text
        .trim()
        .split(' ')
        .map(Number)
        .sort((a, b) => a - b);
    const [, , uid, gid, , homeFolder] = passwd(member.name);
    expect(said).toMatch(new RegExp(`^ids ${uid} ${gid} `));
    expect(groupsOf(said.replace(/^ids \d+ \d+ /, ''))).toEqual(member.gids);
    await home.ok(['stop', 'api']);
    for (const name of ['ready', 'hook']) {
      const [own, ...rest] = readFileSync(join(shared, name), 'utf8').trim().split(' ');
      expect(own).toBe(uid);
      expect(rest.slice(-2)).toEqual([homeFolder, member.name]);
      expect(groupsOf(rest.slice(0, -2).join(' '))).toEqual(member.gids);
    }
  },
);

testAsRoot('gsup itself has its own rights again after it has started something as another user', async () => {
  await using home = new Home();
  const file = services(home, { api: { command: ['sh', '-c', SLEEP], cwd: '/', user: 'nobody' } });
  await home.ok(['start', file]);
  const pid = await home.daemonPid();
  const status = readFileSync(`/proc/${pid}/task/${pid}/status`, 'utf8');
  const own = readFileSync('/proc/self/status', 'utf8');
  for (const name of ['Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm']) {
    const line = new RegExp(`^${name}:.*$`, 'm');
    expect(line.exec(status)?.[0]).toBe(line.exec(own)?.[0]);
  }
  expect(spawnSync('ls', [`/proc/${pid}/fd`]).status).toBe(0);
});

testAsRoot('a group alone changes nothing but the group', async () => {
  await using home = new Home();
  const command = ['sh', '-c', `${TELL} echo "asked=$ASKED"; ${SLEEP}`];
  await home.ok(['start', services(home, { api: { command, cwd: '/', group: 'nogroup' } })], { env: { ASKED: 'yes' } });
  expect(await home.said('api:0', /^ids/)).toBe(`ids 0 ${NOBODY} ${NOBODY}`);
  expect(await home.said('api:0', /^asked/)).toBe('asked=yes');
});

testAsRoot('"gsup run" as root gives another user the same', async () => {
  await using home = new Home();
  await using gsup = home.begin(['run', '--cwd', '/', '--uid', 'nobody', '--', 'sh', '-c', `${TELL} env`], {
    env: { ROOT_API_TOKEN: 'secret-of-root' },
  });
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toContain(`ids ${NOBODY} ${NOBODY} ${NOBODY}\n`);
  expect(gsup.output).toContain('user=nobody logname=nobody');
  expect(gsup.output).not.toContain('secret-of-root');
});

testAsRoot('without koffi a service starts without its supplementary groups, and a record says so', async () => {
  const member = memberOfGroups();
  if (member === null) return console.warn('skipped: nobody in /etc/group is in a second group');
  const script = `data:text/javascript,import { Module } from 'node:module'; const its = Module._resolveFilename; Module._resolveFilename = function (name, ...rest) { if (name === 'koffi') throw new Error('none'); return its.call(this, name, ...rest); };`;
  const args = ['--import', script, GSUP, 'run', '--cwd', '/', '--uid', member.name, '--', 'sh', '-c', TELL];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(status).toBe(0);
  expect(stdout).toContain(`ids ${passwd(member.name)[2]} ${passwd(member.name)[3]} ${passwd(member.name)[3]}\n`);
  expect(stderr).toContain(`runs without the supplementary groups of the user ${member.name}`);
});

/** Without a pipe, which the shell itself would have open meanwhile. */
const FDS = 'ls -l /proc/$$/fd; ';
/** What this test itself was started with, and hands on as a shell does. */
const inherited = new Set(
  numbersIn(spawnSync('sh', ['-c', FDS], { encoding: 'utf8' }).stdout.split('\n')).filter((fd) => fd > 2),
);

function numbersIn(lines: readonly string[]): readonly number[] {
  const numbers = lines.flatMap((line) => / (\d+) -> /.exec(line)?.[1] ?? []).map(Number);
  return numbers.sort((a, b) => a - b);
}

test('a service, a check and a hook have no descriptor of the daemon', async () => {
  await using home = new Home();
  const out = (name: string) => ['sh', '-c', `(${FDS}) > ${join(home.folder, name)}`];
  const common = { cwd: '/', ready: { exec: out('ready') }, stop: { preStop: { exec: out('hook') } } };
  const command = ['sh', '-c', `${FDS} echo end; ${SLEEP}`];
  const isRoot = process.getuid?.() === 0;
  const file = services(home, {
    native: { command, ...common },
    // With a socket it goes through a shell, and with another user through Node.
    socket: { command, cwd: '/', sockets: { web: join(home.folder, 'web.sock') } },
    ...(isRoot ? { other: { command, cwd: '/', user: 'nobody' } } : {}),
  });
  // The shell that starts the daemon has something open, under a number that Node does not look at.
  const open = openSync('/etc/hostname', 'r');
  const stdio = Array.from({ length: 41 }, (_, fd): 'ignore' | number => (fd === 40 ? open : 'ignore'));
  const env = { ...process.env, GSUP_HOME: home.path };
  expect(spawnSync(process.execPath, [GSUP, 'start', file], { stdio, env }).status).toBe(0);
  closeSync(open);
  const expected = { native: [0, 1, 2], socket: [0, 1, 2, 3], ...(isRoot ? { other: [0, 1, 2] } : {}) };
  for (const [name, fds] of Object.entries(expected)) {
    await home.said(`${name}:0`, /^end$/);
    const lines = home.lines(`${name}:0`);
    expect(numbersIn(lines)).toEqual(fds);
    const targets = lines.filter((line) => / [12] -> /.test(line));
    expect(targets.every((line) => line.includes('/streams/'))).toBe(true);
    expect(lines.find((line) => line.includes(' 0 -> '))).toContain(' 0 -> /dev/null');
  }
  await home.ok(['stop', 'native']);
  for (const name of ['ready', 'hook'])
    expect(numbersIn(readFileSync(join(home.folder, name), 'utf8').split('\n'))).toEqual([0, 1, 2]);
});

test('what "gsup run" starts has no descriptor of gsup', async () => {
  await using home = new Home();
  await using gsup = home.begin(['run', '--', 'sh', '-c', `${FDS} true`]);
  expect(await gsup.status()).toBe(0);
  const own = numbersIn(gsup.output.split('\n')).filter((fd) => !inherited.has(fd));
  expect(own).toEqual([0, 1, 2]);
});

testAsRoot("no interface of gsup lets a service's user do something to another service", async () => {
  await using home = new Home();
  const command = ['sh', '-c', `echo "link $GSUP_LINK $GSUP_ID"; ${SLEEP}`];
  const file = services(home, {
    mine: { command, cwd: '/', user: 'nobody' },
    other: { command: ['sleep', '1000'], cwd: '/' },
  });
  await home.ok(['start', file]);
  const [, link = '', id = ''] = (await home.said('mine:0', /^link /)).split(' ');
  const { pid } = await home.instance('other:0');
  const socket = home.file('gsup.sock');
  // The control socket can't be reached, not even where its folder is known.
  const connect = (path: string, lines: string) =>
    asNobody([
      process.execPath,
      '-e',
      `const socket = require('node:net').connect(${JSON.stringify(path)});
       socket.on('error', ({ code }) => { console.log(code); process.exit(); });
       socket.on('connect', () => socket.end(${JSON.stringify(lines)}));
       socket.on('close', () => console.log('closed'));`,
    ]);
  expect(connect(socket, 'GET / HTTP/1.0\r\n\r\n')).toBe('EACCES\n');
  // Over the link a service can speak of itself alone.
  const hello = JSON.stringify({ type: 'hello', id });
  const asks = [
    { type: 'signal', service: 'other', signal: 'SIGKILL' },
    { type: 'stop', service: 'other', pid },
    { type: 'phase', phase: 'x', service: 'other', instance: 'other:0', pid },
  ];
  expect(connect(link, [hello, ...asks.map((ask) => JSON.stringify(ask)), ''].join('\n'))).toBe('closed\n');
  await home.ok(['ping']);
  expect((await home.instance('other:0')).pid).toBe(pid);
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  expect(
    home.records.filter(({ service, phase }) => service === 'other' && phase !== 'spawned' && phase !== 'ready'),
  ).toEqual([]);
});

testAsRoot('nobody sees the value of a variable on a command line while a service with sockets starts', async () => {
  await using home = new Home();
  const secret = 'hunter2-of-the-database';
  // Reads the command lines of the newest processes as fast as it can, as any user may.
  const spy = spawn(
    process.execPath,
    [
      '-e',
      `const { readFileSync, writeSync } = require('node:fs');
       writeSync(1, 'looking\\n');
       for (;;) {
         const last = Number(readFileSync('/proc/loadavg', 'latin1').trim().split(' ').at(-1));
         for (let pid = last - 30; pid <= last + 3; pid++) {
           try {
             const line = readFileSync('/proc/' + pid + '/cmdline', 'latin1');
             if (line.includes('hunter2-of' + '-the-database')) writeSync(1, 'seen: ' + line.replaceAll('\\0', ' ') + '\\n');
           } catch {}
         }
       }`,
    ],
    { uid: NOBODY, gid: NOBODY, cwd: '/', env: {}, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let told = '';
  spy.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  try {
    await home.until('the spy', () => told.includes('looking') || undefined);
    const env = { 'spring.datasource.password': secret };
    const command = ['sh', '-c', `tr '\\0' '\\n' < /proc/$$/environ | grep -c hunter2; ${SLEEP}`];
    const api = { command, cwd: '/', env, sockets: { web: join(home.folder, 'web.sock') } };
    await home.ok(['start', services(home, { api })]);
    expect(await home.said('api:0', /^\d+$/)).toBe('1');
    for (let count = 0; count < 4; count++) await home.ok(['restart', 'api']);
  } finally {
    spy.kill('SIGKILL');
    await once(spy, 'close');
  }
  expect(told).toBe('looking\n');
});
