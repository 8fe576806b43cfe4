import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixture } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const SLEEP = ['--ready', 'exec:true', '--', 'sleep', '1000'];

/** Two services that run and one that was stopped, and no daemon. */
async function left(home: Home): Promise<Record<string, number | null>> {
  await home.ok(['start', '--name', 'api', '-i', '2', ...SLEEP]);
  await home.ok(['start', '--name', 'cron', ...SLEEP]);
  await home.ok(['stop', 'cron']);
  const pids = await home.pids();
  await home.until('the copy', () =>
    home.read('state.json.last-good') === home.read('state.json') ? true : undefined,
  );
  await home.killDaemon();
  return pids;
}

test.concurrent.each([
  ['garbage', (file: string) => writeFileSync(file, '\0\u0001 no json {{{')],
  ['empty', (file: string) => truncateSync(file, 0)],
  ['truncated', (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2))],
  ['of another format', (file: string) => writeFileSync(file, '{"format":0}')],
  ['a list', (file: string) => writeFileSync(file, '[]')],
  [
    'JSON without what is needed',
    (file: string) =>
      writeFileSync(
        file,
        '{"format":1,"state":{"services":{"api":{"spec":{},"instances":[{"name":"running"}]}}},"runs":{},"environments":{},"bootId":""}',
      ),
  ],
])('a state.json that is %s is kept aside and said, the last good one used: the same pids', async (_, damage) => {
  await using home = new Home();
  const before = await left(home);
  damage(home.file('state.json'));
  const broken = readFileSync(home.file('state.json'));
  expect(await home.pids()).toEqual(before);
  const aside = readdirSync(home.path).filter((name) => name.startsWith('state.json.broken-'));
  expect(aside).toHaveLength(1);
  expect(readFileSync(home.file(String(aside[0])))).toEqual(broken);
  const notices = home.records.filter(({ phase }) => phase === 'notice').map(({ msg }) => msg);
  expect(notices.join('\n')).toContain(`it is kept as ${home.file(String(aside[0]))}`);
  expect(notices.join('\n')).toContain('the last good one is used');
  expect(home.records.filter(({ phase }) => phase === 'spawned')).toHaveLength(3);
  const { stdout } = await home.run(['doctor']);
  expect(stdout).toContain(String(aside[0]));
});

test.concurrent('a state.json of a newer gsup is refused and left as it is: nothing is started', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  await home.killDaemon();
  const newer = '{"format":99}';
  writeFileSync(home.file('state.json'), newer);
  const { status, stderr } = await home.run(['ls']);
  expect(status).not.toBe(0);
  expect(stderr).toContain(`cannot read ${home.file('state.json')}: it was written by a newer gsup\n`);
  expect(home.read('state.json')).toBe(newer);
  expect(home.alive()).toEqual([]);
});

test.concurrent('a state.json that is gone: the last good one is used', async () => {
  await using home = new Home();
  const before = await left(home);
  rmSync(home.file('state.json'));
  expect(await home.pids()).toEqual(before);
});

test.concurrent('both files broken: the daemon begins with nothing, says so, and works', async () => {
  await using home = new Home();
  await left(home);
  for (const name of ['state.json', 'state.json.last-good']) writeFileSync(home.file(name), 'broken');
  expect(await home.ls()).toEqual([]);
  expect(
    home.records
      .filter(({ phase }) => phase === 'notice')
      .map(({ msg }) => msg)
      .join('\n'),
  ).toMatch(/begins with nothing|there is no other/);
  await home.ok(['start', '--name', 'other', ...SLEEP]);
});

test.concurrent('the desired state needs no save step: stopped stays stopped, scaled stays scaled, deleted stays gone', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  await home.ok(['start', '--name', 'gone', ...SLEEP]);
  await home.ok(['scale', 'api', '3']);
  await home.ok(['stop', 'api:1']);
  await home.ok(['delete', 'gone']);
  const before = await home.pids();
  await home.killDaemon();
  expect(await home.pids()).toEqual(before);
  expect(Object.entries(before).map(([name, pid]) => `${name} ${pid === null}`)).toEqual([
    'api:0 false',
    'api:1 true',
    'api:2 false',
  ]);
});

test.concurrent('after a boot nothing that ran is taken for running: what was up is started, what was stopped is not', async () => {
  await using home = new Home();
  const before = await left(home);
  const state = JSON.parse(home.read('state.json'));
  writeFileSync(home.file('state.json'), JSON.stringify({ ...state, bootId: '00000000-0000-0000-0000-000000000000' }));
  for (const pid of Object.values(before)) if (pid !== null) process.kill(pid, 'SIGKILL');
  for (const pid of Object.values(before)) if (pid !== null) await home.gone(pid);
  await home.ls();
  await home.until('both to run', () =>
    home.records.filter(({ phase }) => phase === 'spawned').length === 5 ? true : undefined,
  );
  const after = await home.ls();
  expect(after.map(({ instance, state: name }) => `${instance} ${name === 'stopped'}`)).toEqual([
    'api:0 false',
    'api:1 false',
    'cron:0 true',
  ]);
});

test.concurrent('files that were lost are no harm: environments, spool, streams and logs are made anew', async () => {
  await using home = new Home();
  const before = await left(home);
  for (const name of ['environments', 'spool', 'logs']) rmSync(home.file(name), { recursive: true, force: true });
  expect(await home.pids()).toEqual(before);
  await home.ok(['restart', 'api']);
  expect((await home.ls()).filter(({ state }) => state === 'running')).toHaveLength(2);
});

test.concurrent('a kill -9 between two starts leaves nothing half begun', async () => {
  await using home = new Home();
  for (let round = 0; round < 3; round++) {
    await using start = home.begin(['start', '--name', `s${round}`, '-i', '3', '--', 'sleep', '1000']);
    await home.until('a spawn', () =>
      home.records.some(({ phase, service }) => phase === 'spawned' && service === `s${round}`) ? true : undefined,
    );
    for (const pid of home.daemonPids()) process.kill(pid, 'SIGKILL');
    await start.status();
    await home.ls();
  }
  await home.until('all to run', () => (home.alive().length - home.daemonPids().length >= 9 ? true : undefined));
  const views = await home.ls();
  expect(views).toHaveLength(9);
  const pids = views.map(({ pid }) => pid);
  expect(new Set(pids).size).toBe(9);
  expect(
    home
      .alive()
      .filter((pid) => !home.daemonPids().includes(pid))
      .sort(),
  ).toEqual(pids.map(Number).sort());
});

test.concurrent('an instance that was asked to stop stays down when the daemon dies in the middle of it', async () => {
  await using home = new Home();
  const env = { SLOW_MS: '400' };
  await home.ok(['start', fixture('slow.mjs'), '--ready', 'log:up'], { env });
  await using stop = home.begin(['stop', 'slow']);
  await home.record('signal-sent', 'slow:0');
  await home.killDaemon();
  await stop.status();
  const { pid } = await home.instance('slow:0');
  if (pid !== null) await home.gone(pid);
  await home.record('stopped', 'slow:0');
  expect(await home.instance('slow:0')).toMatchObject({ state: 'stopped', restarts: 0 });
  await home.killDaemon();
  expect(await home.instance('slow:0')).toMatchObject({ state: 'stopped' });
});
