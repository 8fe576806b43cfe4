/** What a check or a hook runs with, and what a failed start tells of it, with the built command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

const FILE = `services:
  api:
    command: sleep 1000
    inheritEnv: false
    envFile: api.env
    ready: { exec: [sh, -c, 'env > ready.env'] }
    stop: { preStop: { exec: [sh, -c, 'env > stop.env'] } }
`;

test.concurrent('a check and a hook have the environment of their instance, and nothing of ours', async () => {
  await using home = new Home();
  home.write('api.env', 'FROM_FILE=1\n');
  const file = home.write('supervisor.yaml', FILE);
  await home.ok(['start', file], { env: { SECRET: 'x' } });
  await home.ok(['stop', 'api']);
  for (const written of ['ready.env', 'stop.env']) {
    const environment = readFileSync(join(file, '..', written), 'utf8');
    expect(environment).toContain('FROM_FILE=1\n');
    expect(environment).toContain('GSUP_INSTANCE=0\n');
    expect(environment).not.toContain('SECRET=');
  }
});

test.runIf(process.getuid?.() === 0).concurrent('a check runs as the user of its service', async () => {
  await using home = new Home();
  const yaml = `services:
  api: { command: sleep 1000, restart: never, user: nobody, cwd: /, ready: { exec: [sh, -c, 'test $(id -u) != 0'], timeout: 5s } }
`;
  const { status } = await home.run(['start', home.write('supervisor.yaml', yaml)]);
  expect(status).toBe(0);
});

test.concurrent('a start that is not ready in time tells what the last answer was', async () => {
  await using home = new Home();
  const start = ['start', '--name', 'api', '--restart', 'never', '--ready-timeout', '1s'];
  const { status, stderr } = await home.run([...start, '--ready', 'exec:no-such-program', '--', 'sleep', '1000']);
  expect(status).toBe(124);
  expect(stderr).toContain('no-such-program: ENOENT');
});
