/** Files that the user of a service may put in the place of what root's gsup reads for it. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Done } from '../kit/home.ts';
import { Home } from '../kit/home.ts';
import { asNobody, NOBODY, openFolder, testAsRoot } from '../kit/root.ts';

const SLEEP = 'exec sleep 1000';

function services(home: Home, all: Readonly<Record<string, object>>): string {
  return home.write('services.json', JSON.stringify({ services: all }));
}

/** A service of nobody's that shows what its env file gave it; in a folder where nobody may do as it likes. */
async function withEnvFile(home: Home): Promise<{ readonly folder: string; readonly file: string }> {
  const folder = openFolder(home.folder, 'app', NOBODY);
  const file = join(folder, '.env');
  writeFileSync(file, 'COLOR=blue\n');
  chownSync(file, NOBODY, NOBODY);
  const command = ['sh', '-c', `echo "color=$COLOR token=$TOKEN path=$GSUP_LEAK"; ${SLEEP}`];
  const restart = { policy: 'never' };
  await home.ok(['start', services(home, { api: { command, cwd: '/', user: 'nobody', envFile: file, restart } })]);
  await home.said('api:0', /^color=blue/);
  return { folder, file };
}

/** It could not start, and the daemon answers as before. */
async function expectRefusal(home: Home, reason: string): Promise<void> {
  const { pid } = await home.instance('api:0');
  const done: Done = await home.run(['restart', 'api']);
  expect(done.status).toBe(1);
  expect(done.stderr).toContain(reason);
  expect((await home.instance('api:0')).pid).toBe(pid);
  await home.ok(['stop', 'api']);
  const started = await home.run(['start', 'api']);
  expect(started.status).toBe(1);
  expect(started.stdout + started.stderr).toContain(reason);
  await home.ok(['ping']);
}

testAsRoot.each<[string, (file: string, home: Home) => void, string]>([
  ['a FIFO', (file) => asNobody(['mkfifo', file]), 'it is not a regular file'],
  ['a link to /dev/zero', (file) => asNobody(['ln', '-s', '/dev/zero', file]), 'it is not a regular file'],
  ['a folder', (file) => asNobody(['mkdir', file]), 'it is not a regular file'],
  ['a link to itself', (file) => asNobody(['ln', '-s', file, file]), 'ELOOP'],
  ['nothing', () => {}, 'it does not exist'],
  ['a file without end', (file) => asNobody(['truncate', '-s', '3G', file]), 'it is too large'],
  ["gsup's own environment", (file) => asNobody(['ln', '-s', '/proc/self/environ', file]), ''],
  [
    "a file of root's",
    (file, home) => {
      writeFileSync(join(home.folder, 'roots'), 'TOKEN=secret-of-root\n', { mode: 0o600 });
      asNobody(['ln', '-s', join(home.folder, 'roots'), file]);
    },
    'the user nobody may not read it',
  ],
  [
    "a file of gsup's home",
    (file, home) => asNobody(['ln', '-s', join(home.path, 'state.json'), file]),
    'the user nobody may not read it',
  ],
])('%s in the place of an env file is a failed start, and never read', async (_, put, reason) => {
  await using home = new Home();
  const { file } = await withEnvFile(home);
  asNobody(['rm', file]);
  put(file, home);
  await expectRefusal(home, `cannot read the env file ${file}: ${reason}`);
  expect(home.lines('api:0')).toEqual(['color=blue token= path=']);
});

testAsRoot("root's own env file, which the user may not read, is still given to its service alone", async () => {
  await using home = new Home();
  const folder = openFolder(home.folder, 'etc');
  const file = join(folder, 'api.env');
  writeFileSync(file, 'TOKEN=for-the-service\n', { mode: 0o600 });
  symlinkSync(folder, join(home.folder, 'current'));
  const command = ['sh', '-c', `echo "token=$TOKEN"; ${SLEEP}`];
  const envFile = join(home.folder, 'current/api.env');
  await home.ok(['start', services(home, { api: { command, cwd: '/', user: 'nobody', envFile } })]);
  expect(await home.said('api:0', /^token=/)).toBe('token=for-the-service');
});

test('a FIFO as the env file of a service of the same user does not hold up the daemon either', async () => {
  await using home = new Home();
  const file = home.write('.env', '');
  const api = { command: ['sleep', '1000'], envFile: file };
  await home.ok(['start', services(home, { api })]);
  unlinkSync(file);
  spawnSync('mkfifo', [file]);
  await expectRefusal(home, `cannot read the env file ${file}: it is not a regular file`);
  unlinkSync(file);
  symlinkSync('/dev/zero', file);
  const done = await home.run(['start', 'api']);
  expect(done.stdout + done.stderr).toContain('it is not a regular file');
});

testAsRoot('a FIFO in the place of a script is a failed start', async () => {
  await using home = new Home();
  const folder = openFolder(home.folder, 'app', NOBODY);
  const script = join(folder, 'run');
  writeFileSync(script, `#!/bin/sh\n${SLEEP}\n`, { mode: 0o755 });
  await home.ok(['start', services(home, { api: { script, cwd: '/', user: 'nobody' } })]);
  asNobody(['rm', script]);
  asNobody(['mkfifo', script]);
  await expectRefusal(home, `cannot read the script ${script}: it is not a regular file`);
});

testAsRoot(
  'a script and a program that only root may read or execute are refused before what runs is stopped',
  async () => {
    await using home = new Home();
    const folder = openFolder(home.folder, 'app');
    const program = join(folder, 'run');
    writeFileSync(program, `#!/bin/sh\n${SLEEP}\n`, { mode: 0o755 });
    const start = (api: object) => home.ok(['start', services(home, { api: { cwd: '/', user: 'nobody', ...api } })]);
    await start({ script: program });
    chmodSync(program, 0o700);
    await expectRefusal(home, `cannot read the script ${program}: the user nobody may not read it`);
    chmodSync(program, 0o755);
    await home.ok(['delete', 'api']);
    await start({ command: [program] });
    chmodSync(program, 0o700);
    await expectRefusal(home, `cannot execute ${program}: no permission to execute it`);
  },
);

testAsRoot('a program is looked for where the user of its service may go', async () => {
  await using home = new Home();
  const [roots, all] = [openFolder(home.folder, 'roots'), openFolder(home.folder, 'all')];
  for (const folder of [roots, all])
    writeFileSync(join(folder, 'tool'), `#!/bin/sh\necho "from ${folder}"\n${SLEEP}\n`, { mode: 0o755 });
  chmodSync(roots, 0o700);
  const env = { PATH: `${roots}:${all}:/usr/bin:/bin` };
  await home.ok(['start', services(home, { api: { command: ['tool'], cwd: '/', user: 'nobody', env } })]);
  expect(await home.said('api:0', /^from/)).toBe(`from ${all}`);
});

testAsRoot('a folder that the user may not enter is not entered for it', async () => {
  await using home = new Home();
  const folder = openFolder(home.folder, 'app', NOBODY);
  const cwd = join(folder, 'work');
  asNobody(['mkdir', cwd]);
  const command = ['sh', '-c', `echo "in $(pwd -P)"; ${SLEEP}`];
  await home.ok(['start', services(home, { api: { command, cwd, user: 'nobody' } })]);
  await home.said('api:0', /^in /);
  const secret = join(home.folder, 'secret');
  mkdirSync(secret, { mode: 0o700 });
  asNobody(['rmdir', cwd]);
  asNobody(['ln', '-s', secret, cwd]);
  await expectRefusal(home, `cannot start in ${cwd}: the user nobody may not enter it`);
  expect(home.lines('api:0').join()).not.toContain(secret);
});

testAsRoot('a folder that only root may enter is the working directory where only root decides on it', async () => {
  await using home = new Home();
  const cwd = join(home.folder, 'work');
  mkdirSync(cwd, { mode: 0o700 });
  const command = ['sh', '-c', 'readlink /proc/self/cwd; exec sleep 1000'];
  await home.ok(['start', services(home, { api: { command, cwd, user: 'nobody' } })]);
  expect(await home.said('api:0', /work/)).toBe(cwd);
});

testAsRoot("a Unix socket in a user's folder is that user's, and can't be led into a folder of root's", async () => {
  await using home = new Home();
  const own = join(openFolder(home.folder, 'app', NOBODY), 'run');
  const roots = openFolder(home.folder, 'db');
  asNobody(['mkdir', own]);
  const path = join(own, 'db.sock');
  const sockets = { web: { address: path, mode: '0660' } };
  const file = services(home, { api: { command: ['sleep', '1000'], cwd: '/', user: 'nobody', sockets } });
  await home.ok(['start', file]);
  expect(spawnSync('stat', ['-c', '%u %a %F', path], { encoding: 'utf8' }).stdout).toBe(`${NOBODY} 660 socket\n`);
  // Its end would remove a file of that name from the folder that the path leads to by then.
  writeFileSync(join(roots, 'db.sock'), "root's");
  asNobody(['mv', own, `${own}.old`]);
  asNobody(['ln', '-s', roots, own]);
  await home.ok(['delete', 'api']);
  expect(readFileSync(join(roots, 'db.sock'), 'utf8')).toBe("root's");
  unlinkSync(join(roots, 'db.sock'));
  // And its start would make one there, where clients of root's look for theirs.
  const done = await home.run(['start', file]);
  expect(done.status).toBe(1);
  expect(done.stdout + done.stderr).toContain(`cannot listen on ${path}`);
  expect(readdirSync(roots)).toEqual([]);
});

testAsRoot("a Unix socket in a folder of root's is bound by root, as before, and removed again", async () => {
  await using home = new Home();
  const folder = openFolder(home.folder, 'run');
  const path = join(folder, 'api.sock');
  const api = { command: ['sleep', '1000'], cwd: '/', user: 'nobody', sockets: { web: path } };
  await home.ok(['start', services(home, { api })]);
  expect(spawnSync('stat', ['-c', '%u %F', path], { encoding: 'utf8' }).stdout).toBe('0 socket\n');
  await home.ok(['delete', 'api']);
  expect(spawnSync('stat', [path]).status).not.toBe(0);
});

testAsRoot('a hook whose env file is taken away gets no more of the environment of root than before', async () => {
  await using home = new Home();
  const { file } = await withEnvFile(home);
  const out = openFolder(home.folder, 'out', NOBODY);
  const stop = { preStop: { exec: ['sh', '-c', `env > ${out}/env`] } };
  const api = { command: ['sleep', '1000'], cwd: '/', user: 'nobody', envFile: file, stop };
  await home.ok(['apply', '-c', services(home, { api })], { env: { ROOT_API_TOKEN: 'secret-of-root' } });
  asNobody(['rm', file]);
  await home.ok(['stop', 'api']);
  const environment = readFileSync(join(out, 'env'), 'utf8');
  expect(environment).toContain('USER=nobody\n');
  expect(environment).not.toContain('secret-of-root');
});

testAsRoot("a link in a user's folder leads the watch nowhere else", async () => {
  await using home = new Home();
  const folder = openFolder(home.folder, 'app', NOBODY);
  const roots = openFolder(home.folder, 'roots');
  asNobody(['ln', '-s', roots, join(folder, 'link')]);
  symlinkSync(folder, join(home.folder, 'current'));
  const command = ['sleep', '1000'];
  const watch = { paths: [join(home.folder, 'current')], debounce: '20ms' };
  // One of root's own that watches what the link leads to: its restart shows that a change there has been told.
  const mark = { command, cwd: '/', watch: { paths: [roots], debounce: '60ms' } };
  await home.ok(['start', services(home, { api: { command, cwd: '/', user: 'nobody', watch }, mark })]);
  const restarts = (instance: string) =>
    home.records.filter((record) => record.phase === 'stop-requested' && record.instance === instance).length;
  const untilRestarted = async (instance: string, file: string): Promise<void> => {
    const before = restarts(instance);
    // A watcher tells of nothing before it stands.
    const beat = setInterval(() => writeFileSync(file, String(Math.random())), 200);
    await home.record('stop-requested', instance, before + 1).finally(() => clearInterval(beat));
  };
  await untilRestarted('api:0', join(folder, 'first'));
  await untilRestarted('mark:0', join(roots, 'file'));
  await untilRestarted('api:0', join(folder, 'last'));
  const reasons = home.records
    .filter(({ phase, instance }) => phase === 'stop-requested' && instance === 'api:0')
    .map(({ reason }) => reason ?? '');
  expect(reasons.filter((reason) => !/(first|last) has changed/.test(reason))).toEqual([]);
});
