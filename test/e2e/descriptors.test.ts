import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

test('a daemon that may open few files says so for each instance too many, and goes on answering', async () => {
  await using home = new Home();
  const services = Object.fromEntries(
    Array.from({ length: 60 }, (_, n) => [`s${n}`, { command: ['sleep', '1000'], restart: { policy: 'never' } }]),
  );
  const file = home.write('services.json', JSON.stringify({ services }));
  const limited = [
    '-c',
    'ulimit -n 128; exec "$0" "$@"',
    process.execPath,
    join(import.meta.dirname, '../../bin/gsup.js'),
    'start',
    file,
  ];
  const { status, stderr } = spawnSync('sh', limited, {
    env: { ...process.env, GSUP_HOME: home.path },
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stderr).toContain(
    'EMFILE: 128 descriptors are too few for another instance (ulimit -n; LimitNOFILE= of a unit)',
  );
  const states = (await home.ls()).map(({ state }) => state);
  expect(states.filter((state) => state === 'running').length).toBeGreaterThan(10);
  expect(states.filter((state) => state === 'failed').length).toBeGreaterThan(10);
  expect((await home.run(['logs', 's1', '--lines', '1'])).status).toBe(0);
  expect((await home.run(['kill'])).status).toBe(0);
});
