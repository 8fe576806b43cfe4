import { expect, test } from 'vitest';
import { Folder, Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const APP = 'console.log("up"); setInterval(() => {}, 1000);\n';

test.concurrent('a file that changes restarts what is watched, one that is ignored does not', async () => {
  using folder = new Folder({
    'app.js': APP,
    's.yaml': 'services: { app: { script: app.js, watch: { ignore: ["*.log"] } }, other: { script: app.js } }\n',
  });
  await using gsup = new Gsup(['run', '-c', 's.yaml'], { cwd: folder.path });
  await gsup.record('spawned', 'app');
  // Once the watcher stands, one change is one restart.
  const beat = setInterval(() => folder.write('app.js', `${APP}// ${Math.random()}\n`), 500);
  const { reason } = await gsup.record('stop-requested', 'app');
  clearInterval(beat);
  expect(reason).toBe('app.js has changed');
  await gsup.record('spawned', 'app', 2);
  folder.write('x.log', 'x');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.phases('other').filter((phase) => phase === 'spawned')).toHaveLength(1);
  expect(gsup.records.filter((record) => record.reason === 'x.log has changed')).toEqual([]);
});

test.concurrent('a schedule restarts what runs, not what was stopped', async () => {
  await using home = new Home();
  using folder = new Folder({
    'app.js': APP,
    's.yaml': `services:
  app: { script: app.js, schedule: "* * * * * *" }
  still: { script: app.js, schedule: "* * * * * *" }
`,
  });
  // Restarted within its first second: that start has not been good.
  await home.run(['start', '-c', `${folder.path}/s.yaml`]);
  await home.ok(['stop', 'still']);
  const ofStill = () => home.records.filter(({ service }) => service === 'still').length;
  const before = ofStill();
  const bySchedule = () =>
    home.records.filter(({ reason, service }) => service === 'app' && reason === 'schedule * * * * * *');
  await home.until('two restarts by the schedule', () => (bySchedule().length >= 2 ? true : undefined));
  expect(ofStill()).toBe(before);
});
