import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixture } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { type Puppet, Stage } from '../kit/puppet.ts';

const PUPPET = fixture('puppet.mjs');

/** A puppet under the daemon, with these lines of YAML as its service. */
async function puppetIn(home: Home, stage: Stage, yaml = '{}'): Promise<Puppet> {
  const file = home.write(
    'supervisor.yaml',
    `services: { api: { script: ${PUPPET}, ready: { log: up }, logs: ${yaml} } }`,
  );
  await using start = home.begin(['start', file], { env: await stage.environment() });
  const puppet = await stage.connected();
  await puppet.send({ act: 'print', text: 'up\n' });
  expect(await start.status()).toBe(0);
  return puppet;
}

function numbered(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from + 1 }, (_, n) => `line ${from + n}`);
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

test.concurrent('logs stand in CRI format, and each line carries its stream', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await puppet.send({ act: 'print', text: 'to stderr\n', stream: 'stderr' });
  await home.said('api:0', /to stderr/);
  const [out, err] = home.read('logs/api:0.log').split('\n');
  expect(out).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F up$/);
  expect(err).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stderr F to stderr$/);
});

test.concurrent.each(['cri', 'json', 'raw'])(
  'logs -f in %s: every line once and in order, over rotations too',
  async (format) => {
    await using home = new Home();
    await using stage = new Stage();
    const puppet = await puppetIn(home, stage, `{ format: ${format}, maxSize: 1KB, maxFiles: 1000 }`);
    await puppet.send({ act: 'print', text: textOf(numbered(1, 50)) });
    await home.said('api:0', /line 50/);
    await using logs = home.begin(['logs', 'api', '-f', '--raw', '--lines', '10']);
    await logs.said(/line 50\n/);
    for (let from = 51; from <= 1_000; from += 19) {
      await puppet.send({ act: 'print', text: textOf(numbered(from, from + 18)) });
      await logs.said(new RegExp(`line ${from + 18}\n`));
    }
    await logs.said(/line 1000\n/);
    expect(logs.output.split('\n').slice(0, -1)).toEqual(numbered(41, 1_000));
    expect(readdirSync(home.file('logs')).length).toBeGreaterThanOrEqual(3);
  },
);

test.concurrent.each(['cri', 'raw'])(
  'logs -f in %s begins under full load without a line lost or doubled',
  async (format) => {
    await using home = new Home();
    const script = home.write(
      'counter.mjs',
      "let n = 0; console.log('up'); setInterval(() => console.log('line ' + ++n), 1);",
    );
    const file = home.write(
      'supervisor.yaml',
      `services: { api: { script: ${script}, ready: { log: up }, logs: { format: ${format} } } }`,
    );
    await home.ok(['start', file]);
    for (let round = 0; round < 3; round++) {
      await using logs = home.begin(['logs', 'api', '-f', '--raw', '--lines', '20']);
      await logs.until('200 lines', () => (logs.output.split('\n').length > 200 ? true : undefined));
      const numbers = logs.output
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('line'))
        .map((line) => Number(line.slice(5)));
      const [first = 0] = numbers;
      expect(numbers).toEqual(numbers.map((_, index) => first + index));
    }
  },
);

test.concurrent('logs: --lines, --grep, --stderr, --since, --until, --json, of one instance or of all', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await puppet.send({ act: 'print', text: textOf(numbered(1, 30)) });
  await puppet.send({ act: 'print', text: 'oops\n', stream: 'stderr' });
  await home.said('api:0', /oops/);
  await home.said('api:0', /line 30/);
  const lines = async (...args: string[]) =>
    (await home.ok(['logs', 'api', '--raw', ...args])).stdout.split('\n').slice(0, -1);
  expect(await lines()).toHaveLength(15);
  expect(await lines('--lines', '0')).toEqual([]);
  expect(await lines('--stderr')).toEqual(['oops']);
  expect(await lines('--grep', '^line [12]$')).toEqual(['line 1', 'line 2']);
  expect(await lines('--grep', 'line', '--lines', '2')).toEqual(['line 29', 'line 30']);
  expect(await lines('--since', '1h')).toHaveLength(32);
  expect(await lines('--until', '1h')).toEqual([]);
  expect(await lines('--since', '2999-01-01')).toEqual([]);
  const { stdout } = await home.ok(['logs', 'api:0', '--json', '--stderr']);
  expect(JSON.parse(stdout)).toEqual({ instance: 'api:0', at: expect.any(Number), stream: 'stderr', line: 'oops' });
  expect((await home.ok(['logs'])).stdout).toContain('api:0 | line 30\n');
  expect((await home.run(['logs', 'api', '--grep', '('])).status).toBe(2);
});

test.concurrent('logs of two instances are merged by time', async () => {
  await using home = new Home();
  await using stage = new Stage();
  await home.ok(['start', PUPPET, '--name', 'api', '-i', '2', '--ready', 'exec:true'], {
    env: await stage.environment(),
  });
  const both = [await stage.connected(), await stage.connected()];
  both.sort((a, b) => String(a.hello.env['GSUP_INSTANCE']).localeCompare(String(b.hello.env['GSUP_INSTANCE'])));
  for (const [index, puppet] of [0, 1, 0, 0, 1].entries()) {
    await both[puppet]?.send({ act: 'print', text: `turn ${index}\n` });
    await home.said(`api:${puppet}`, new RegExp(`turn ${index}`));
  }
  const wanted = 'api:0 | turn 0\napi:1 | turn 1\napi:0 | turn 2\napi:0 | turn 3\napi:1 | turn 4\n';
  expect((await home.ok(['logs', 'api'])).stdout).toBe(wanted);
  expect((await home.ok(['logs', 'api', '--since', '1h'])).stdout).toBe(wanted);
});

test.concurrent('logs ends without a word when its reader goes away', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await using logs = home.begin(['logs', 'api', '-f']);
  await logs.said(/up/);
  logs.child.stdout?.destroy();
  for (const line of numbered(1, 3)) await puppet.send({ act: 'print', text: `${line}\n` });
  expect(await logs.status()).toBe(0);
  expect(logs.stderr).toBe('');
});

test.concurrent('30 MB without a newline: split at 16 KiB with the tag P, nothing lost, the memory of the daemon bounded', async () => {
  await using home = new Home();
  const script = `echo up; head -c 31457280 /dev/zero | tr '\\0' x; echo; echo after; exec sleep 1000`;
  const file = home.write(
    'supervisor.yaml',
    `services: { api: { command: [sh, -c, ${JSON.stringify(script)}], logs: { maxSize: 100MB } } }`,
  );
  await home.ok(['start', file]);
  await home.until('the line behind it', () => (home.read('logs/api:0.log').endsWith(' after\n') ? true : undefined));
  const lines = home.read('logs/api:0.log').split('\n').slice(1, -2);
  const texts = lines.map((line) => line.slice(40));
  expect(texts.reduce((sum, text) => sum + text.length, 0)).toBe(31_457_280);
  expect(Math.max(...texts.map((text) => text.length))).toBe(16_384);
  expect(lines.slice(0, -1).every((line) => line.slice(31, 39) === 'stdout P')).toBe(true);
  expect(lines.at(-1)?.slice(31, 39)).toBe('stdout F');
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(home.status(await home.daemonPid()))?.[1]);
  expect(peak).toBeLessThan(200_000);
});

test.concurrent('a line that is whole only after a kill -9 of the daemon is one line', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await puppet.send({ act: 'print', text: 'first half, ' });
  await home.until('the half to be kept', () =>
    readdirSync(home.file('streams')).some((name) => name.endsWith('.rest')) ? true : undefined,
  );
  await home.killDaemon();
  await puppet.send({ act: 'print', text: 'second half\n' });
  await home.ls();
  await home.said('api:0', /second/);
  expect(home.lines('api:0')).toEqual(['up', 'first half, second half']);
});

test.concurrent('a last line without newline is there when the instance has ended', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await puppet.send({ act: 'print', text: 'no newline' });
  await home.ok(['stop', 'api']);
  expect(home.lines('api:0')).toEqual(['up', 'no newline']);
});

test.concurrent('a full disk: services and daemon go on, what is dropped is said and counted, logging resumes', async (context) => {
  await using home = new Home();
  await using stage = new Stage();
  mkdirSync(home.file('logs'), { recursive: true, mode: 0o700 });
  if (!home.mountTmpfs(home.file('logs'), '256k')) context.skip();
  const puppet = await puppetIn(home, stage);
  const before = await home.pids();
  const daemon = await home.daemonPid();
  for (let from = 1; from <= 40_000; from += 10_000)
    await puppet.send({ act: 'print', text: textOf(numbered(from, from + 9_999)) });
  const failed = await home.record('notice', 'api:0');
  expect(failed.msg).toMatch(/^the log of api:0 can't be written \(ENOSPC\): its output is dropped$/);
  rmSync(home.file('logs/api:0.log'));
  await home.ok(['logs', 'api']);
  const pid = await home.daemonPid();
  process.kill(pid, 'SIGUSR2');
  await home.until('a new log file', () => (existsSync(home.file('logs/api:0.log')) ? true : undefined));
  await puppet.send({ act: 'print', text: 'there is room again\n' });
  expect((await home.record('notice', 'api:0', 2)).msg).toMatch(
    /^the log of api:0 is written again; [1-9]\d* bytes were dropped$/,
  );
  await home.said('api:0', /room again/);
  expect(await home.pids()).toEqual(before);
  expect(await home.daemonPid()).toBe(daemon);
});

test.concurrent('a full disk under the whole home: commands fail with the reason, output is dropped, nothing ends', async (context) => {
  await using home = new Home();
  await using stage = new Stage();
  mkdirSync(home.path, { mode: 0o700 });
  if (!home.mountTmpfs(home.path, '1m')) context.skip();
  const env = await stage.environment();
  await home.ok(['start', PUPPET, '--name', 'api', '--ready', 'exec:true'], { env });
  const puppet = await stage.connected();
  const before = await home.pids();
  const daemon = await home.daemonPid();
  home.fill(home.file('filler'));
  await puppet.send({ act: 'print', text: 'the first output of all\n' });
  const start = ['start', '--name', 'other', '--ready', 'exec:true', '--', 'sleep', '1000'];
  const other = await home.run(start, { env: { A: 'new' } });
  expect(other.stderr).not.toContain('went away');
  expect(await home.daemonPid()).toBe(daemon);
  expect((await home.pids())['api:0']).toBe(before['api:0']);
  rmSync(home.file('filler'));
  await puppet.send({ act: 'print', text: 'there is room again\n' });
  await home.said('api:0', /room again/);
  await home.ok(['stop', 'all']);
});

test.concurrent('SIGUSR2: after a rename from outside the log goes on in a new file, and no line is lost', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await puppet.send({ act: 'print', text: 'before\n' });
  await home.said('api:0', /before/);
  renameSync(home.file('logs/api:0.log'), home.file('logs/moved'));
  await puppet.send({ act: 'print', text: 'between\n' });
  await home.until('the line in the moved file', () =>
    home.read('logs/moved').includes('between') ? true : undefined,
  );
  process.kill(await home.daemonPid(), 'SIGUSR2');
  await home.until('a new file', () => (existsSync(home.file('logs/api:0.log')) ? true : undefined));
  await puppet.send({ act: 'print', text: 'after\n' });
  await home.said('api:0', /after/);
  expect(home.lines('api:0')).toEqual(['after']);
  expect(statSync(home.file('logs/api:0.log')).mode & 0o777).toBe(0o600);
});

test.concurrent('a slow reader of logs -f does not hold up the service, nor lose a line', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const puppet = await puppetIn(home, stage);
  await using logs = home.begin(['logs', 'api', '-f', '--raw']);
  await logs.said(/up/);
  logs.child.stdout?.pause();
  for (let from = 1; from <= 100_000; from += 10_000)
    await puppet.send({ act: 'print', text: textOf(numbered(from, from + 9_999)) });
  await home.until('the last line in the file', () =>
    home.read('logs/api:0.log').endsWith('line 100000\n') ? true : undefined,
  );
  logs.child.stdout?.resume();
  await logs.said(/line 100000\n/);
  expect(logs.output).toBe(`up\n${textOf(numbered(1, 100_000))}`);
});

test.concurrent('binary output and characters of many bytes come out as they went in', async () => {
  await using home = new Home();
  const bytes = Buffer.from([0, 1, 2, 255, 254, 128, 10]);
  const file = home.write('bytes', '');
  writeFileSync(file, Buffer.concat([bytes, Buffer.from('grüße 😀 ende\n')]));
  await home.ok(['start', '--name', 'api', '--ready', 'log:ende', '--', 'sh', '-c', `cat ${file}; exec sleep 1000`]);
  const log = home.bytes('logs/api:0.log');
  expect(log.includes(bytes)).toBe(true);
  expect((await home.ok(['logs', 'api', '--raw', '--lines', '1'])).stdout).toBe('grüße 😀 ende\n');
});
