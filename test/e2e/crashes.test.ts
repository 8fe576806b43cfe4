/** Whatever is wrong around gsup: a sentence, what to do, a documented exit status, and never a stack or source text. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

const GSUP = resolve('bin/gsup.js');
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
/** docs/daemon.md: "What commands say". */
const DOCUMENTED = [0, 1, 2, 3, 4, 78, 124, 126, 127, 130];
/** A line of minified code is longer; a path of 256 bytes in a message is not. */
const LONGEST_LINE = 400;
const COMMANDS: readonly (readonly string[])[] = [
  ['ls'],
  ['start', '--name', 'a', '--', 'sleep', '1000'],
  ['ping'],
  ['kill'],
  ['update'],
  ['logs'],
  ['doctor'],
  ['daemon'],
  ['daemon', '--background'],
];

type Around = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly uid?: number;
};
type Run = { readonly status: number | null; readonly stderr: string };

function run(args: readonly string[], { env, cwd, uid }: Around, stdio: 'pipe' | number = 'pipe'): Run {
  const all = Object.entries({ ...process.env, GSUP_LOG: undefined, ...env }).filter(
    ([, value]) => value !== undefined,
  );
  const { status, stderr } = spawnSync(process.execPath, [GSUP, ...args], {
    encoding: 'utf8',
    timeout: 30_000,
    env: Object.fromEntries(all) as NodeJS.ProcessEnv,
    stdio: ['ignore', stdio, 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return { status, stderr };
}

function expectSentence({ status, stderr }: Run, what: string): void {
  expect(DOCUMENTED, `${what}: ${stderr}`).toContain(status);
  expect(stderr, what).not.toMatch(/^\s+at /m);
  expect(stderr, what).not.toMatch(/node:internal|UnhandledPromiseRejection|Node\.js v\d/);
  for (const line of stderr.split('\n')) expect(line.length, `${what}: ${line}`).toBeLessThanOrEqual(LONGEST_LINE);
  // The findings of doctor are on stdout.
  if (status === 0 || status === 3 || what === 'doctor') return;
  expect(stderr, what).toMatch(/^gsup: \S.*\n {2}\S/m);
}

type Prepare = (home: Home) => Around;
const HOMES: Readonly<Record<string, Prepare>> = {
  'a file': (home) => {
    writeFileSync(home.path, '');
    return { env: { GSUP_HOME: home.path } };
  },
  'a path through a file': (home) => {
    writeFileSync(home.path, '');
    return { env: { GSUP_HOME: join(home.path, 'below') } };
  },
  'a link to nothing': (home) => {
    symlinkSync(join(home.folder, 'none'), home.path);
    return { env: { GSUP_HOME: home.path } };
  },
  'a loop of links': (home) => {
    symlinkSync(home.path, home.path);
    return { env: { GSUP_HOME: home.path } };
  },
  'a name that is too long': (home) => ({ env: { GSUP_HOME: join(home.folder, 'x'.repeat(256)) } }),
  'below /proc': () => ({ env: { GSUP_HOME: '/proc/gsup' } }),
  'a device': () => ({ env: { GSUP_HOME: '/dev/null' } }),
  'writable by others': (home) => {
    mkdirSync(home.path);
    chmodSync(home.path, 0o777);
    return { env: { GSUP_HOME: home.path } };
  },
};
const HOMES_OF_ANOTHER_USER: Readonly<Record<string, Prepare>> = {
  'in a folder that may not be entered': (home) => ({ env: { GSUP_HOME: home.path }, uid: NOBODY }),
  'in a folder that may not be written to': (home) => {
    chmodSync(home.folder, 0o755);
    return { env: { GSUP_HOME: home.path }, uid: NOBODY };
  },
  'of another user': (home) => {
    chmodSync(home.folder, 0o755);
    mkdirSync(home.path, { mode: 0o755 });
    return { env: { GSUP_HOME: home.path }, uid: NOBODY };
  },
  'of a user without a home, HOME being unset': () => ({
    env: { GSUP_HOME: undefined, HOME: undefined },
    uid: 54_321,
  }),
};

describe('a home that cannot be used', () => {
  test.each(Object.entries(HOMES))('%s', async (_, prepare) => {
    await using home = new Home();
    const around = prepare(home);
    for (const args of COMMANDS) {
      const done = run(args, around);
      expectSentence(done, args.join(' '));
      if (args[0] === 'ls' || args[0] === 'start' || args[0] === 'daemon') expect(done.status).not.toBe(0);
    }
    expect(home.alive()).toEqual([]);
  });

  test.skipIf(!isRoot).each(Object.entries(HOMES_OF_ANOTHER_USER))('%s', async (_, prepare) => {
    await using home = new Home();
    const around = prepare(home);
    for (const args of COMMANDS) expectSentence(run(args, { cwd: '/', ...around }), args.join(' '));
    expect(run(['ls'], { cwd: '/', ...around }).status).toBe(1);
    expect(home.alive()).toEqual([]);
  });

  test.skipIf(!isRoot)('on a file system that is read-only', async () => {
    await using home = new Home();
    mkdirSync(home.path, { mode: 0o700 });
    if (!home.mountTmpfs(home.path, '1m')) return;
    spawnSync('mount', ['-o', 'remount,ro', home.path]);
    for (const args of COMMANDS) expectSentence(run(args, { env: { GSUP_HOME: home.path } }), args.join(' '));
    expect(run(['ls'], { env: { GSUP_HOME: home.path } }).status).toBe(1);
  });

  test.skipIf(!isRoot)('on a file system without an inode left', async () => {
    await using home = new Home();
    mkdirSync(home.path, { mode: 0o700 });
    if (!home.mountTmpfs(home.path, '1m')) return;
    spawnSync('mount', ['-o', 'remount,nr_inodes=2', home.path]);
    for (const args of COMMANDS) expectSentence(run(args, { env: { GSUP_HOME: home.path } }), args.join(' '));
    expect(run(['ls'], { env: { GSUP_HOME: home.path } }).status).toBe(1);
  });

  test.each(['gsup.sock', 'daemon.log', 'logs', 'state.json', 'events.ndjson', 'spool', 'environments', 'streams'])(
    'a folder, a FIFO or a file in the place of its %s',
    async (name) => {
      for (const kind of ['folder', 'FIFO', 'file'] as const) {
        // The daemon reads them: it would wait for a writer, until the command gives it up.
        if (kind === 'FIFO' && (name === 'state.json' || name === 'events.ndjson')) continue;
        await using home = new Home();
        mkdirSync(home.path, { mode: 0o700 });
        const place = home.file(name);
        if (kind === 'folder') mkdirSync(place);
        else if (kind === 'FIFO') spawnSync('mkfifo', [place]);
        else writeFileSync(place, '');
        expectSentence(run(['ls'], { env: { GSUP_HOME: home.path } }), `${kind} ${name}`);
      }
    },
  );
});

describe('an environment that is odd', () => {
  test.each(['foo', 'DEBUG ', 'x'.repeat(5_000)])(
    'GSUP_LOG=%.10s is refused with the valid levels, 2',
    async (level) => {
      await using home = new Home();
      for (const args of [...COMMANDS, ['run', '--', 'true']]) {
        const done = run(args, { env: { GSUP_HOME: home.path, GSUP_LOG: level } });
        expectSentence(done, args.join(' '));
        expect(done.status, args.join(' ')).toBe(2);
        expect(done.stderr).toMatch(/is not a valid log level\n.*trace, debug, info, warn, error, fatal or silent/);
      }
      expect(existsSync(home.path)).toBe(false);
    },
  );

  test('an empty GSUP_LOG is none', async () => {
    await using home = new Home();
    expect(run(['ls'], { env: { GSUP_HOME: home.path, GSUP_LOG: '' } }).status).toBe(0);
    expect(run(['run', '--', 'true'], { env: { GSUP_HOME: home.path, GSUP_LOG: '' } }).status).toBe(0);
  });

  test('an empty HOME is none, not the current folder', async () => {
    await using home = new Home();
    const { stderr } = run(['ping'], { env: { GSUP_HOME: undefined, HOME: '' }, cwd: home.folder });
    expect(stderr).not.toContain(home.folder);
  });

  test.each([
    '--unhandled-rejections=none',
    '--unhandled-rejections=warn',
    '--unhandled-rejections=strict',
    '--unhandled-rejections=warn-with-error-code',
    '--throw-deprecation',
    '--disable-proto=throw',
    '--max-http-header-size=1',
    '--stack-trace-limit=100 --enable-source-maps',
  ])('NODE_OPTIONS=%s', async (options) => {
    await using home = new Home();
    writeFileSync(join(home.folder, 'file'), '');
    const bad = join(home.folder, 'file', 'home');
    for (const args of COMMANDS)
      expectSentence(run(args, { env: { GSUP_HOME: bad, NODE_OPTIONS: options } }), args.join(' '));
    expect(run(['ls'], { env: { GSUP_HOME: home.path, NODE_OPTIONS: options } }).status).toBe(0);
  });

  test('a current folder that is gone', async () => {
    await using home = new Home();
    const gone = join(home.folder, 'gone');
    for (const args of COMMANDS.filter(([name]) => name !== 'daemon')) {
      mkdirSync(gone);
      const line = `cd ${gone} && rmdir ${gone} && exec "$@"`;
      const { status, stderr } = spawnSync('/bin/sh', ['-c', line, 'sh', process.execPath, GSUP, ...args], {
        encoding: 'utf8',
        env: { ...process.env, GSUP_HOME: home.path },
        timeout: 30_000,
      });
      expectSentence({ status, stderr }, args.join(' '));
      if (existsSync(gone)) rmdirSync(gone);
    }
  });

  test('a limit of open files that is too low for a daemon', async () => {
    await using home = new Home();
    for (const limit of [12, 16, 20, 24, 28]) {
      const { status, stderr } = spawnSync(
        '/bin/sh',
        ['-c', `ulimit -n ${limit}; exec "$@"`, 'sh', process.execPath, GSUP, 'ls'],
        {
          encoding: 'utf8',
          env: { ...process.env, GSUP_HOME: home.path },
          timeout: 30_000,
        },
      );
      // A Node that cannot even begin is killed by its own abort.
      if (status !== null && !stderr.includes('FATAL') && !stderr.includes('Assertion'))
        expectSentence({ status, stderr }, `${limit}`);
    }
  });
});

describe('output that takes no more', () => {
  test('a full disk under stdout is an error, not success', async () => {
    await using home = new Home();
    await home.ok(['ls']);
    const full = openSync('/dev/full', 'w');
    for (const args of [['ls', '--json'], ['--help'], ['completion', 'bash'], ['ping']]) {
      const done = run(args, { env: { GSUP_HOME: home.path } }, full);
      expectSentence(done, args.join(' '));
      expect(done.status, args.join(' ')).toBe(1);
      expect(done.stderr).toContain('no space left on device');
    }
    closeSync(full);
  });

  test('a full or closed stderr stops no command', async () => {
    await using home = new Home();
    for (const redirection of ['2>/dev/full', '2>&-', '2>&1 >/dev/null | true']) {
      const name = `s${redirection.length}`;
      const line = `${process.execPath} ${GSUP} start --name ${name} --ready exec:true -- sleep 1000 ${redirection}`;
      spawnSync('/bin/sh', ['-c', line], { env: { ...process.env, GSUP_HOME: home.path }, timeout: 30_000 });
      expect((await home.instance(`${name}:0`)).state, redirection).toBe('running');
    }
  });
});

describe('a bug', () => {
  test.each([
    ['an exception', 'setImmediate(() => { throw new TypeError("planted\\n" + "x".repeat(9999)) })'],
    ['a rejection', 'setImmediate(() => Promise.reject(new TypeError("planted\\n" + "x".repeat(9999))))'],
    ['a rejection with no error', 'setImmediate(() => Promise.reject("planted"))'],
    ['a system error', 'setImmediate(() => require("node:fs").readFileSync("/planted"))'],
  ])('%s in a command is one sentence; the stack comes with GSUP_LOG=debug', async (_, code) => {
    await using home = new Home();
    const plant = home.write('plant.cjs', code);
    const env = { GSUP_HOME: home.path, NODE_OPTIONS: `--require ${plant}` };
    for (const args of [
      ['logs', '-f'],
      ['run', '--', 'sleep', '1'],
    ]) {
      const done = run(args, { env });
      expectSentence(done, args.join(' '));
      expect(done).toMatchObject({ status: 1, stderr: expect.stringContaining('planted') });
    }
    if (code.includes('Error')) {
      expect(run(['run', '--', 'sleep', '1'], { env: { ...env, GSUP_LOG: 'debug' } }).stderr).toMatch(
        /^\s+at .*plant\.cjs/m,
      );
    }
  });

  test('in a daemon in the foreground: a sentence on stderr, the stack in daemon.log', async () => {
    await using home = new Home();
    const plant = home.write('plant.cjs', 'process.once("SIGWINCH", () => { throw new TypeError("planted") })');
    await using daemon = home.begin(['daemon'], { env: { NODE_OPTIONS: `--require ${plant}` } });
    await home.answering();
    await home.ok(['start', '--name', 'api', '--ready', 'exec:true', '--', 'sleep', '1000']);
    const { pid } = await home.instance('api:0');
    daemon.kill('SIGWINCH');
    expect(await daemon.status()).toBe(1);
    const sentences = daemon.stderr
      .split('\n')
      .filter((line) => !line.startsWith('{'))
      .join('\n');
    expectSentence({ status: 1, stderr: sentences }, 'daemon');
    expect(sentences).toContain('internal error: planted');
    expect(home.read('daemon.log')).toMatch(/TypeError: planted\n\s+at .*plant\.cjs/);
    expect((await home.instance('api:0')).pid).toBe(pid);
  });

  test('in a daemon that is starting: the command says what happened, the stack is in daemon.log', async () => {
    await using home = new Home();
    mkdirSync(home.path, { mode: 0o700 });
    mkdirSync(home.file('gsup.sock'));
    mkdirSync(home.file('gsup.sock/below'));
    const done = run(['ls'], { env: { GSUP_HOME: home.path } });
    expectSentence(done, 'ls');
    expect(done.status).toBe(1);
    expect(done.stderr).toContain('the daemon could not be started: ');
    expect(readFileSync(home.file('daemon.log'), 'utf8')).toMatch(/^\s+at /m);
  });

  test('a daemon that dies without a word: the command says how', async () => {
    await using home = new Home();
    await using ls = home.begin(['ls']);
    const [child = 0] = await home.until('a process for the daemon', () => {
      const pids = home.daemonPids();
      return pids.length === 1 ? pids : undefined;
    });
    process.kill(child, 'SIGKILL');
    expect(await ls.status()).toBe(1);
    expect(ls.stderr).toMatch(/^gsup: the daemon could not be started: it was killed by SIGKILL\n {2}look into/);
  });
});
