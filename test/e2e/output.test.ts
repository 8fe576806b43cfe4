import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Folder, fixture, Gsup } from '../kit/gsup.ts';

test("one service's output is untouched, byte for byte", async () => {
  using folder = new Folder();
  const bytes = Buffer.from(Array.from({ length: 65_536 }, (_, n) => (n * 7) % 256));
  const file = folder.write('bytes', bytes);
  await using gsup = new Gsup(['run', '--', 'cat', file]);
  expect(await gsup.status()).toBe(0);
  expect(gsup.stdout.equals(bytes)).toBe(true);
});

test('a check of its log leaves the output untouched too', async () => {
  await using gsup = new Gsup([
    'run',
    '--ready',
    'log:^up',
    '--',
    'sh',
    '-c',
    'printf "a\\0b\\nup\\nend without newline"',
  ]);
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toBe('a\0b\nup\nend without newline');
  await gsup.record('ready');
});

test('several have their names before whole lines; characters and lines are never split', async () => {
  const script = `
    const euro = Buffer.from('€uro\\n');
    process.stdout.write(euro.subarray(0, 1), () => setTimeout(() => {
      process.stdout.write(Buffer.concat([euro.subarray(1), Buffer.alloc(200_000, 'x'), Buffer.from('\\n\\nend')]));
    }, 50));`;
  await using gsup = new Gsup(['run', '-i', '2', '--name', 'app', '--', process.execPath, '-e', script]);
  expect(await gsup.status()).toBe(0);
  for (const index of [0, 1]) {
    const lines = gsup.output.split('\n').filter((line) => line.startsWith(`app:${index} | `));
    expect(lines.map((line) => line.slice('app:0 | '.length))).toEqual(['€uro', 'x'.repeat(200_000), '', 'end']);
  }
});

test('the last line of a dying child is never lost', async () => {
  await using gsup = new Gsup(['run', '-i', '3', '--restart', 'never', fixture('crashing.mjs')]);
  expect(await gsup.status()).toBe(1);
  expect(gsup.stderr.match(/crashing:\d \| last words/g)).toHaveLength(3);
});

test('stdin is passed on when it is no terminal', async () => {
  await using gsup = new Gsup(['run', '--', 'cat'], { input: 'through and through\n' });
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toBe('through and through\n');
});

test('the argv reaches the program untouched', async () => {
  const args = ['a b', '', '*', '$HOME', '"quoted"', "it's", 'ünï', '--grace', '-x'];
  const script = 'console.log(JSON.stringify(process.argv.slice(1)))';
  await using gsup = new Gsup(['run', '--', process.execPath, '-e', script, '--', ...args]);
  expect(await gsup.status()).toBe(0);
  expect(JSON.parse(gsup.output)).toEqual(args);
});

test('an instance inherits the environment, and only what is documented is added', async () => {
  using folder = new Folder({ '.env': 'FROM_FILE=file\nBOTH=file\n' });
  const options = ['--env', 'BOTH=flag', '--env', 'EMPTY=', '--env-file', '.env', '--grace', '7s', '--name', 'app'];
  await using gsup = new Gsup(['run', ...options, '--', 'env', '-0'], {
    cwd: folder.path,
    env: { 'ODD-NAME': 'kept' },
  });
  expect(await gsup.status()).toBe(0);
  const environment = Object.fromEntries(
    gsup.output
      .split('\0')
      .flatMap((line) => (line === '' ? [] : [[line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]])),
  );
  expect(environment).toMatchObject({
    FROM_FILE: 'file',
    BOTH: 'flag',
    EMPTY: '',
    'ODD-NAME': 'kept',
    GSUP_SERVICE: 'app',
    GSUP_INSTANCE: '0',
    GSUP_GRACE_MS: '7000',
    NODE_APP_INSTANCE: '0',
  });
  const added = Object.keys(environment).filter((name) => !(name in process.env));
  expect(added.sort()).toEqual(
    [
      'BOTH',
      'EMPTY',
      'FROM_FILE',
      'GSUP_GRACE_MS',
      'GSUP_ID',
      'GSUP_INSTANCE',
      'GSUP_LINK',
      'GSUP_SERVICE',
      'NODE_APP_INSTANCE',
      'ODD-NAME',
      'TEST_TOKEN',
    ].sort(),
  );
});

test('records on stderr are sentences when asked for, without colour when it is no terminal', async () => {
  await using gsup = new Gsup(['run', '--log-format', 'pretty', '--name', 'app', '--', 'true']);
  expect(await gsup.status()).toBe(0);
  expect(gsup.stderr).toMatch(/^\d\d:\d\d:\d\d\.\d{3} app:0 {2}started as \d+: \S*true\n/);
  expect(gsup.stderr).toMatch(/app:0 {2}exit 0 after \d+ms\n$/);
});

test('a reader of stdout that goes away ends everything in good order', async () => {
  await using gsup = new Gsup(['run', '-i', '2', '--', 'sh', '-c', 'while :; do echo line; sleep 0.01; done']);
  await gsup.said(/line/);
  gsup.child.stdout?.destroy();
  await gsup.record('shutdown-completed');
  expect(gsup.records.find(({ phase }) => phase === 'shutdown-started')?.reason).toBe('stdout was closed');
});

test('a full disk behind stdout and stderr loses the lines, and nothing else', () => {
  const script = `exec "$0" "$1" run -i 2 --restart never -- sh -c 'echo hi; exit 0' >/dev/full 2>&1`;
  const { status } = spawnSync('sh', ['-c', script, process.execPath, 'bin/gsup.js'], { timeout: 15_000 });
  expect(status).toBe(0);
});
