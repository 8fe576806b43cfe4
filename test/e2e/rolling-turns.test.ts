import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

/** Says its environment, is ready when its gate is there, and fails where it is told to. */
const APP = `
echo "foo $FOO version $VERSION"
if [ "$FOO" = bad ]; then while ! [ -e end ]; do sleep 0.02; done; exit 3; fi
trap 'exit 0' TERM
while :; do sleep 0.02; done
`;

function fileOf(home: Home, { version = 1, more = '' } = {}): string {
  const command = JSON.stringify(['sh', home.write('app.sh', APP)]);
  const gate = JSON.stringify(['test', '-e', home.write('gate', '')]);
  const rolling = '{ minReady: 0s }';
  return home.write(
    'supervisor.yaml',
    `services: { api: { command: ${command}, env: { VERSION: "${version}" }, ready: { exec: ${gate}, interval: 20ms }, rolling: ${rolling}${more} } }`,
  );
}

test.concurrent('the environment of a reload counts from its own turn on, whatever the one before it comes to', async () => {
  await using home = new Home();
  await home.ok(['start', fileOf(home)], { env: { FOO: 'old' } });
  rmSync(`${home.folder}/gate`);
  await using first = home.begin(['reload', '--update-env', 'api'], { env: { FOO: 'bad' } });
  await home.said('api:0', /foo bad/);
  await using second = home.begin(['reload', '--update-env', 'api'], { env: { FOO: 'good' } });
  // It waits for its turn: the first one goes on until it is told to fail.
  await home.ls();
  home.write('end', '');
  expect(await first.status()).toBe(1);
  home.write('gate', '');
  expect(await second.status()).toBe(0);
  await home.said('api:0', /foo good/);
  expect((await home.ok(['env', 'api'])).stdout).toContain('FOO=good');
});

test.concurrent('a reload with an environment starts what is down with it, and leaves nothing staged', async () => {
  await using home = new Home();
  await home.ok(['start', fileOf(home)], { env: { FOO: 'old' } });
  await home.ok(['stop', 'api']);
  await home.ok(['reload', '--update-env', 'api'], { env: { FOO: 'new' } });
  await home.said('api:0', /foo new/);
  const state: { environments: Record<string, string> } = JSON.parse(home.read('state.json'));
  expect(Object.keys(state.environments)).toEqual(['api']);
});

test.concurrent('what is applied while the next daemon still ends a reload of the one before is applied after it', async () => {
  await using home = new Home();
  await home.ok(['start', fileOf(home)], { env: { FOO: 'old' } });
  const file = fileOf(home);
  rmSync(`${home.folder}/gate`);
  await using reload = home.begin(['reload', 'api']);
  await home.record('spawned', 'api:0', 2);
  await home.killDaemon();
  await reload.status();
  writeFileSync(file, readFileSync(file, 'utf8').replace('VERSION: "1"', 'VERSION: "2"'));
  await using apply = home.begin(['apply', '-c', file]);
  await home.record('adopted', 'api:0');
  writeFileSync(`${home.folder}/gate`, '');
  expect(await apply.status()).toBe(0);
  await home.said('api:0', /version 2/);
  const again = await home.ok(['apply', '-c', file, '--dry-run']);
  expect(again.stdout + again.stderr).not.toContain('replace');
});

test.concurrent('a new socket that somebody else has is a failed reload, and the old version goes on', async () => {
  await using home = new Home();
  await home.ok(['start', fileOf(home)]);
  const before = await home.pids();
  const daemon = await home.daemonPid();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' ? address?.port : null;
  const done = await home.run(['apply', '-c', fileOf(home, { more: `, sockets: { http: "127.0.0.1:${port}" }` })]);
  other.close();
  expect(done).toMatchObject({ status: 1, stderr: expect.stringContaining(`cannot listen on 127.0.0.1:${port}`) });
  expect(await home.pids()).toEqual(before);
  expect(await home.daemonPid()).toBe(daemon);
});

test.concurrent('what was staged when the machine went down is not brought by the next reload', async () => {
  await using home = new Home();
  await home.ok(['start', fileOf(home)], { env: { FOO: 'old' } });
  rmSync(`${home.folder}/gate`);
  await using reload = home.begin(['reload', '--update-env', 'api'], { env: { FOO: 'new' } });
  await home.record('spawned', 'api:0', 2);
  const runs = (await home.ls()).flatMap(({ pid }) => pid ?? []);
  await home.killDaemon();
  for (const pid of runs) process.kill(pid, 'SIGKILL');
  await reload.status();
  const state = { ...JSON.parse(home.read('state.json')), bootId: 'another boot' };
  writeFileSync(home.file('state.json'), JSON.stringify(state));
  writeFileSync(`${home.folder}/gate`, '');
  await home.ok(['ls']);
  await home.record('ready', 'api:0', 2);
  await home.ok(['reload', 'api']);
  expect((await home.ok(['env', 'api'])).stdout).toContain('FOO=old');
  expect(Object.keys(JSON.parse(home.read('state.json')).environments)).toEqual(['api']);
});
