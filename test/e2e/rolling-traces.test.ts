import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

const READY_BY_FD = `
  import { writeSync } from 'node:fs';
  process.on('SIGTERM', () => process.exit(0));
  setInterval(() => {}, 1000);
  writeSync(7, '\\n');
`;

test.concurrent('reloads, a scale down and a delete leave no descriptor, FIFO or stream behind', async () => {
  await using home = new Home();
  const app = home.write('app.mjs', READY_BY_FD);
  const file = home.write(
    'supervisor.yaml',
    `services: { api: { script: ${app}, instances: 2, ready: { fd: 7 }, rolling: { minReady: 0s } } }`,
  );
  await home.ok(['start', file]);
  const daemon = await home.daemonPid();
  const links = linkFolder((await home.instance('api:0')).pid);
  await home.ok(['reload', 'api']);
  const before = home.descriptors(daemon);
  for (let count = 0; count < 3; count++) await home.ok(['reload', 'api']);
  // A reply that is on its way has one for a moment.
  await home.until('as many descriptors as before', () => (home.descriptors(daemon) <= before ? true : undefined));
  expect(waitsFor(links)).toHaveLength(2);
  expect(places(home)).toHaveLength(2);
  await home.ok(['scale', 'api', '1']);
  expect([waitsFor(links), places(home)]).toEqual([[expect.stringMatching(/^r-/)], [expect.stringMatching(/^api:0/)]]);
  await home.ok(['delete', 'api']);
  expect([waitsFor(links), places(home)]).toEqual([[], []]);
});

test.concurrent('a release that is given up leaves no streams of the instances that it would have added', async () => {
  await using home = new Home();
  const app = home.write('app.mjs', READY_BY_FD);
  const fileOf = (script: string, instances: number) =>
    home.write(
      'supervisor.yaml',
      `services: { api: { script: ${script}, instances: ${instances}, ready: { fd: 7 }, rolling: { minReady: 0s } } }`,
    );
  await home.ok(['start', fileOf(app, 1)]);
  const broken = home.write('broken.mjs', "throw new Error('a bad release');");
  expect((await home.run(['apply', '-c', fileOf(broken, 3)])).status).toBe(1);
  expect(places(home)).toEqual(['api:0']);
});

/** The folder of the link that a run was given. */
function linkFolder(pid: number | null): string {
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  return dirname(variables.find((one) => one.startsWith('GSUP_LINK='))?.slice(10) ?? '');
}

function waitsFor(links: string): readonly string[] {
  return readdirSync(links).filter((name) => /^[nr]-/.test(name));
}

/** `api:0`, or `api:0+` for the other place of it. */
function places(home: Home): readonly string[] {
  return [...new Set(readdirSync(home.file('streams')).map((name) => name.replace(/\.(stdout|stderr).*$/, '')))].sort();
}
