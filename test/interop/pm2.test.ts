/** PM2's ecosystem files: what each key becomes, what is noted, and that any value gives a right file or a GsupError. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts of others
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { checkSource, readConfig } from '../../src/config/read.ts';
import { plain } from '../../src/config/source.ts';
import { isGsupError } from '../../src/core/error.ts';
import type { SupervisorSpec } from '../../src/core/service.ts';
import type { ImportedConfig, ServiceInput } from '../../src/interop/config.ts';
import { importedText } from '../../src/interop/imported-text.ts';
import { importPm2, looksLikePm2, type Pm2Options } from '../../src/interop/pm2.ts';

const folder = mkdtempSync(join(tmpdir(), 'gsup-pm2-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS: Pm2Options = { envName: null, processors: 4 };

/** The one service of one app that is a fork of Node with this key, and what was noted. */
function app(keys: object, options: Partial<Pm2Options> = {}): { service: ServiceInput; notes: readonly string[] } {
  const { config, notes } = importPm2({ name: 'a', script: 'a.js', ...keys }, { ...OPTIONS, ...options });
  const { script: _, rolling: __, ...service } = config.services['a'] ?? {};
  return { service, notes: notes.map(({ key, message }) => `${key}: ${message}`) };
}

function specOf(config: ImportedConfig): SupervisorSpec {
  const locate = ({ message }: { readonly message: string }) => plain('f', message);
  const file = join(folder, 'supervisor.yaml');
  const result = checkSource(file, { ok: true, value: config, problems: [], locate });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.spec;
}

const refusal = (value: unknown) => {
  try {
    importPm2(value, OPTIONS);
  } catch (error) {
    return (error as Error).message;
  }
  return 'taken';
};

describe('forms of a file', () => {
  const one = {
    defaults: { stop: { signal: 'SIGINT' } },
    services: { a: { script: 'a.js', rolling: { maxSurge: 0 } } },
  };
  test.each([
    ['one app', { script: 'a.js' }],
    ['a list', [{ script: './a.js' }]],
    ['apps', { apps: [{ script: 'a.js' }] }],
    ['one app as apps', { apps: { script: 'a.js' } }],
    ['pm2', { pm2: [{ script: 'a.js' }] }],
    ['a compiled module', { default: { apps: [{ script: 'a.js' }] }, __esModule: true }],
    ['exec, cmd', { apps: [{ cmd: 'a.js' }] }],
  ])('%s', (_, value) => {
    expect(looksLikePm2(value)).toBe(true);
    expect(importPm2(value, OPTIONS)).toEqual({ config: one, notes: [] });
  });
  test.each([
    [null, 'no ecosystem file: it has no apps, but is null'],
    ['text', 'no ecosystem file: it has no apps, but is "text"'],
    [{}, 'no ecosystem file: it has no apps'],
    [{ apps: [] }, 'no ecosystem file: it has no apps'],
    [{ apps: ['a.js'] }, 'no ecosystem file: the app is no map, but "a.js"'],
    [{ apps: [{ script: 'a' }, { name: 'b' }] }, 'no ecosystem file: apps[1] ("b") has no script'],
    [{ static: [{ port: 1 }] }, 'no ecosystem file: it has no apps'],
  ])('%j is refused', (value, message) => {
    expect(refusal(value)).toBe(message);
  });
  test('what has services is ours', () => {
    expect(looksLikePm2({ services: { a: { script: 'a.js' } } })).toBe(false);
    expect(looksLikePm2([])).toBe(false);
    expect(looksLikePm2(() => ({}))).toBe(false);
  });
  test('deploy and static are noted', () => {
    const { notes } = importPm2({ apps: [{ script: 'a.js' }], deploy: {}, static: [], more: 1 }, OPTIONS);
    expect(notes.map(({ service, key }) => [service, key])).toEqual([
      [null, 'deploy'],
      [null, 'static'],
      [null, 'more'],
    ]);
  });
});

describe('names', () => {
  const names = (...apps: object[]) => {
    const { config, notes } = importPm2(apps, OPTIONS);
    return [Object.keys(config.services), notes.map(({ message }) => message)];
  };
  test('the name of the script without its extension, as PM2 has it', () => {
    expect(names({ script: 'src/app.min.js' }, { script: './.hidden' }, { script: 'npm' })).toEqual([
      ['app.min', 'hidden', 'npm'],
      ['".hidden" is no name here: it is hidden'],
    ]);
  });
  test('two of a name, and names that are none', () => {
    expect(
      names(
        { script: 'a.js' },
        { script: 'b/a.js' },
        { name: 'My App', script: 'x.js' },
        { name: 'all', script: 'x.js' },
      ),
    ).toEqual([
      ['a', 'a-2', 'My-App', 'all-app'],
      [
        '"a" is there twice: it is a-2',
        '"My App" is no name here: it is My-App',
        '"all" is no name here: it is all-app',
      ],
    ]);
  });
  test('append_env_to_name', () => {
    const { config } = importPm2(
      { name: 'a', script: 'a.js', append_env_to_name: true, env_test: {} },
      { ...OPTIONS, envName: 'test' },
    );
    expect(Object.keys(config.services)).toEqual(['a-test']);
  });
});

describe('what runs', () => {
  const program = (keys: object, found?: 'missing' | 'folder' | 'text' | 'shebang' | 'binary') => {
    const { config } = importPm2({ name: 'a', ...keys }, { ...OPTIONS, ...(found ? { look: () => found } : {}) });
    const { rolling: _, ...service } = config.services['a'] ?? {};
    return service;
  };
  test.each([
    [
      { script: './src/a.js', cwd: './app' },
      { cwd: './app', script: 'app/src/a.js' },
    ],
    [
      { script: '/srv/a.js', cwd: '/srv' },
      { cwd: '/srv', script: '/srv/a.js' },
    ],
    [
      { script: 'a.js', args: '-a "b c" --d="e f" 1' },
      { script: 'a.js', args: ['-a', 'b c', '--d="e f"', '1'] },
    ],
    [
      { script: 'a.js', args: ['b c', 1, true] },
      { script: 'a.js', args: ['b c', '1', 'true'] },
    ],
    [
      { script: 'a.js', interpreter: '/opt/node' },
      { script: 'a.js', interpreter: '/opt/node' },
    ],
    [
      { script: 'a.js', node_args: '--a --b=1' },
      { script: 'a.js', interpreter: ['node', '--a', '--b=1'] },
    ],
    [
      { script: 'a.js', interpreterArgs: ['--a'] },
      { script: 'a.js', interpreter: ['node', '--a'] },
    ],
    [
      { script: 'a.js', exec_interpreter: 'bun', interpreter_args: '-x' },
      { script: 'a.js', interpreter: ['bun', '-x'] },
    ],
    [
      { script: 'a.js', source_map_support: true },
      { script: 'a.js', interpreter: ['node', '--enable-source-maps'] },
    ],
    [{ script: 'a.py' }, { script: 'a.py', env: { PYTHONUNBUFFERED: '1' } }],
    [
      { script: 'a.py', interpreter: 'python3.12', interpreter_args: '-O' },
      { script: 'a.py', interpreter: ['python3.12', '-O'], env: { PYTHONUNBUFFERED: '1' } },
    ],
    [{ script: 'a.sh' }, { script: 'a.sh', interpreter: 'bash' }],
    [{ script: 'npm', args: 'start' }, { command: ['npm', 'start'] }],
    [{ script: './run', interpreter: 'none', args: 'x' }, { command: ['./run', 'x'] }],
    [{ script: 'a.js', interpreter: 'none' }, { command: ['a.js'] }],
    [{ script: './folder/' }, { command: ['node', './folder/'] }],
    [{ script: 'python a.py --ok' }, { command: 'exec python a.py --ok', shell: true }],
    [{ script: 'A=1 x && y' }, { command: 'A=1 x && y', shell: true, stop: { killMode: 'group' } }],
    [{ script: 'cd x; y' }, { command: 'cd x; y', shell: true, stop: { killMode: 'group' } }],
    [{ script: 'export X' }, { command: 'export X', shell: true, stop: { killMode: 'group' } }],
  ])('%j', (keys, expected) => {
    expect(program(keys)).toEqual(expected);
  });
  test('what is there decides: a file without extension is given to Node, unless it can run by itself', () => {
    expect(program({ script: 'bin/www' }, 'text')).toEqual({ script: 'bin/www', interpreter: 'node' });
    expect(program({ script: 'bin/www' }, 'shebang')).toEqual({ script: 'bin/www' });
    expect(program({ script: 'server' }, 'binary')).toEqual({ script: 'server' });
    expect(program({ script: 'server' }, 'missing')).toEqual({ command: ['server'] });
    expect(program({ script: 'server', interpreter: 'none' }, 'binary')).toEqual({ command: ['./server'] });
    expect(program({ script: 'worker' }, 'folder')).toEqual({ command: ['node', 'worker'] });
  });
  test('notes', () => {
    expect(app({ script: 'x/a.js' }, { look: () => 'missing' }).notes).toEqual([
      'script: there is no x/a.js; paths are relative to the file',
    ]);
    expect(app({ interpreter: 'node@18.1.0' })).toEqual({
      service: { interpreter: 'node' },
      notes: [
        'interpreter: gsup asks no nvm for a version and takes the node of PATH; name its file: ~/.nvm/versions/node/v18.1.0/bin/node',
      ],
    });
    expect(app({ script: 'a.ts' }).notes).toEqual([
      'script: PM2 gives it to bun when there is one; gsup to Node, or tsx. Name an interpreter for another',
    ]);
    expect(app({ script: 'a b', args: 'x' }).notes).toEqual([
      'args: not used by PM2 with a script that is a whole command line',
    ]);
    expect(app({ args: { a: 1 } }).notes).toEqual(['args: {"a":1} is no list of words; left out']);
  });
});

describe('environment', () => {
  test('texts, numbers, maps as JSON', () => {
    expect(app({ env: { A: 'x', B: 1, C: true, D: { e: [1] }, E: '', F: '${X}' } }).service).toEqual({
      env: { A: 'x', B: '1', C: 'true', D: '{"e":[1]}', E: '', F: '${X}' },
    });
  });
  test('what no variable can be is noted', () => {
    expect(app({ env: { A: null, 'B=C': 'x', D: 'a\0b' } })).toEqual({
      service: {},
      notes: [
        'env.A: null can be no variable; left out',
        'env.B=C: "x" can be no variable; left out',
        'env.D: "a\\u0000b" can be no variable; left out',
      ],
    });
    expect(app({ env: 'A=1' }).notes).toEqual(['env: "A=1" is no map of variables; left out']);
  });
  test('env_NAME goes over port, port over env, env over that of the deployment', () => {
    const file = {
      apps: [{ name: 'a', script: 'a.js', port: '80', env: { A: 1, PORT: 1, D: 1 }, env_x: { A: 2 }, env_y: { A: 3 } }],
      deploy: { x: { env: { D: 0, E: 0 } } },
    };
    const { config, notes } = importPm2(file, { ...OPTIONS, envName: 'x' });
    expect(config.services['a']?.env).toEqual({ A: '2', PORT: '80', D: '1', E: '0' });
    expect(notes.map(({ key, message }) => `${key}: ${message}`)).toContain(
      'env_y: chosen by "--env y" of "gsup import", "start" and "run"',
    );
  });
  test('an env_NAME that no app has is noted once', () => {
    const { notes } = importPm2([{ script: 'a.js' }, { script: 'b.js' }], { ...OPTIONS, envName: 'x' });
    expect(notes).toEqual([{ service: null, key: 'env_x', message: 'no app has it; only env counts' }]);
  });
  test('filter_env', () => {
    expect(app({ filter_env: true }).service).toEqual({ inheritEnv: false });
    expect(app({ filter_env: false })).toEqual({ service: {}, notes: [] });
    expect(app({ filter_env: ['AWS_'] }).notes[0]).toMatch(/^filter_env: \["AWS_"\]: single variables can't/);
  });
});

describe('instances', () => {
  const count = (keys: object) => app({ exec_mode: 'fork', ...keys }).service.instances;
  test.each([
    [{ instances: 1 }, undefined],
    [{ instances: '3' }, 3],
    [{ instances: 'max' }, 'max'],
    [{ instances: 0 }, 'max'],
    [{ instances: '0' }, 'max'],
    [{ instances: -1 }, 3],
    [{ instances: -9 }, undefined],
    [{ instances: 5000 }, 1000],
  ])('%j', (keys, expected) => {
    expect(count(keys)).toBe(expected);
  });
  test('a cluster with a PORT has a socket, and says so', () => {
    const { service, notes } = app({ exec_mode: 'cluster', instances: 2, env: { PORT: 3000 } });
    expect(service).toEqual({ env: { PORT: '3000' }, instances: 2, sockets: { http: 3000 } });
    expect(notes).toEqual([
      "env.PORT: gsup opens port 3000 for all of its instances, on every address; if the app names one (listen(3000, '127.0.0.1')), write it: sockets: { http: 127.0.0.1:3000 }",
    ]);
  });
  test('instances of a Node script are a cluster, of another program and with exec_mode fork they are not', () => {
    const sockets = (keys: object) => app({ instances: 2, port: 3000, ...keys }).service.sockets;
    expect(sockets({})).toEqual({ http: 3000 });
    expect(sockets({ execMode: 'fork_mode' })).toBe(undefined);
    expect(sockets({ script: 'a.py' })).toBe(undefined);
  });
  test('without a port it is noted; a port belongs to one service', () => {
    expect(app({ instances: 2 }).notes).toEqual([
      'instances: a cluster shares its port; if it listens on one, name it: sockets: { http: 3000 }',
    ]);
    const { config, notes } = importPm2(
      ['a', 'b'].map((name) => ({ name, script: 'a.js', instances: 1, env: { PORT: 80 } })),
      OPTIONS,
    );
    expect(config.services['b']?.sockets).toBe(undefined);
    expect(notes.at(-1)).toEqual({
      service: 'b',
      key: 'env.PORT',
      message: 'the socket of port 80 belongs to another service',
    });
    expect(specOf(config).services).toHaveLength(2);
  });
  test('a fork is replaced in place, a cluster beside', () => {
    const rolling = (keys: object) =>
      importPm2({ name: 'a', script: 'a.js', ...keys }, OPTIONS).config.services['a']?.rolling;
    expect(rolling({})).toEqual({ maxSurge: 0 });
    expect(rolling({ exec_mode: 'cluster' })).toBe(undefined);
  });
});

describe('keys with a counterpart', () => {
  test.each<[object, ServiceInput]>([
    [{ kill_timeout: 1600 }, { stop: { grace: '1600ms' } }],
    [{ killTimeout: '5000' }, { stop: { grace: '5s' } }],
    [{ treekill: false }, { stop: { killMode: 'leader' } }],
    [{ treekill: true }, {}],
    [{ shutdown_with_message: 'true' }, { stop: { message: true } }],
    [{ wait_ready: true }, { ready: { message: true } }],
    [{ wait_ready: true, listen_timeout: 8000 }, { ready: { message: true, timeout: '8s' } }],
    [{ autorestart: false }, { restart: { policy: 'never' } }],
    [{ autorestart: true }, {}],
    [{ stop_exit_codes: [0, '3', 3] }, { restart: { policy: 'on-failure', successExitCodes: [0, 3] } }],
    [{ stop_exit_codes: 143 }, { restart: { policy: 'on-failure', successExitCodes: [143] } }],
    [{ restart_delay: 3000 }, { restart: { minDelay: '3s', maxDelay: '3s' } }],
    [{ exp_backoff_restart_delay: 100 }, { restart: { minDelay: '100ms', maxDelay: '15s' } }],
    [
      { max_restarts: 4, restart_delay: 1000 },
      { restart: { minDelay: '1s', maxDelay: '1s', limit: 4, window: '60s' } },
    ],
    [
      { max_restarts: 100, restart_delay: 1000, min_uptime: '2s' },
      { restart: { minDelay: '1s', maxDelay: '1s', limit: 100, window: '320s' } },
    ],
    [{ max_memory_restart: '300M' }, { limits: { memory: '300M' } }],
    [{ max_memory_restart: 1000 }, { limits: { memory: 1000 } }],
    [{ log_type: 'json' }, { logs: { format: 'json' } }],
    [
      { uid: 'www', gid: 33 },
      { user: 'www', group: '33' },
    ],
    [{ user: 'www' }, { user: 'www' }],
    [{ execute_command: true }, {}],
  ])('%j', (keys, expected) => {
    expect(app(keys).service).toEqual(expected);
  });
  test('PM2 sends SIGINT', () => {
    expect(specOf(importPm2({ script: 'a.js', kill_timeout: 1600 }, OPTIONS).config).services[0]?.stop).toMatchObject({
      signal: 'SIGINT',
      graceMs: 1600,
    });
  });
  test('a limit of restarts can be reached in spite of the backoff', () => {
    const restart = specOf(importPm2({ script: 'a.js', max_restarts: 16 }, OPTIONS).config).services[0]?.restart;
    expect(restart?.limit).toBe(16);
    // 250 ms doubling up to 60 s, sixteen times.
    expect(restart?.windowMs).toBeGreaterThan(550_000);
  });
  test('a size of PM2 is as many bytes here', () => {
    expect(
      specOf(importPm2({ script: 'a.js', max_memory_restart: '1G' }, OPTIONS).config).services[0]?.memoryLimitBytes,
    ).toBe(1024 ** 3);
  });
});

describe('keys without a counterpart are noted, unless they ask for nothing', () => {
  test.each<[string, unknown, unknown]>([
    ['watch_options', {}, null],
    ['cron_restart', '99 * * * *', 0],
    ['cron', 'x', '0'],
    ['out_file', 'x.log', null],
    ['error', 'x.log', null],
    ['log', true, false],
    ['disable_logs', true, false],
    ['log_date_format', 'YYYY', ''],
    ['pid', 'x.pid', null],
    ['autostart', false, true],
    ['namespace', 'x', 'default'],
    ['name_prefix', 'x', ''],
    ['force', true, false],
    ['instance_var', 'ID', 'NODE_APP_INSTANCE'],
    ['increment_var', 'PORT', ''],
    ['kill_retry_time', 100, null],
    ['install_url', 'x', null],
    ['post_update', ['x'], null],
    ['username', 'x', null],
    ['write', true, false],
    ['vizion', true, false],
    ['automation', true, false],
    ['pmx', true, false],
    ['trace', true, false],
    ['v8', true, false],
    ['event_loop_inspector', true, false],
    ['deep_monitoring', true, false],
    ['io', {}, null],
    ['container', true, false],
    ['dockerdaemon', true, false],
    ['min_uptime', '10s', null],
    ['listen_timeout', 3000, null],
  ])('%s', (key, value, nothing) => {
    const { service, notes } = app({ [key]: value });
    expect(service).toEqual({});
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(new RegExp(`^${key}: .{10,}`));
    expect(app({ [key]: nothing }).notes).toEqual([]);
  });
  test.each(['time', 'windowsHide', 'disable_trace', 'disable_source_map_support'])('%s changes nothing', (key) => {
    expect(app({ [key]: true })).toEqual({ service: {}, notes: [] });
  });
  test('merge_logs is only of several', () => {
    expect(app({ merge_logs: true }).notes).toEqual([]);
    expect(app({ combine_logs: true, instances: 2, exec_mode: 'fork' }).notes).toEqual([
      'combine_logs: each instance has a log of its own; "gsup logs NAME" shows them together',
    ]);
  });
  test('unknown keys, with the nearest known one', () => {
    expect(app({ max_memory_restrt: '1G', max: 10, env_file: '.env' }).notes).toEqual([
      'max_memory_restrt: no key of PM2; did you mean "max_memory_restart"?',
      'max: no key of PM2; PM2 does not know it either',
      'env_file: no key of PM2; gsup has envFile',
    ]);
  });
  test('values that are none', () => {
    const keys = {
      kill_timeout: 'soon',
      wait_ready: 'yes',
      max_restarts: {},
      max_memory_restart: 'much',
      exec_mode: 'x',
      stop_exit_codes: [300],
      log_type: 'x',
      instances: 1,
    };
    const noted = app(keys).notes.map((note) => note.split(':')[0]);
    expect(noted.sort()).toEqual(
      Object.keys(keys)
        .filter((key) => key !== 'instances')
        .sort(),
    );
  });
});

test.each([
  [{ watch: true }, { watch: true }],
  [{ watch: 'true' }, { watch: true }],
  [{ watch: false, ignore_watch: ['x'] }, {}],
  [{ watch: ['src', 'lib'] }, { watch: { paths: ['src', 'lib'] } }],
  [{ watch: true, ignore_watch: ['logs'], watch_delay: 1000 }, { watch: { ignore: ['logs'], debounce: '1s' } }],
  [{ cron_restart: '0 3 * * *' }, { schedule: '0 3 * * *' }],
])('%j is %j', (keys, expected) => {
  expect(app(keys)).toEqual({ service: expected, notes: [] });
});

test('the YAML has the notes at their places and is read as the same services', async () => {
  const value = {
    apps: [
      {
        name: 'a',
        script: 'a.js',
        args: ['${X}', 'a\nb', '- #:'],
        env: { V: '1.10', W: '${Y:-z}\t"' },
        watch: true,
        vizion: true,
      },
      { name: 'b', script: 'b c' },
    ],
    deploy: {},
  };
  const { config, notes } = importPm2(value, OPTIONS);
  const text = importedText(config, notes, 'From a test.');
  expect(text).toBe(`# From a test.
# deploy: gsup does not deploy; "gsup apply -c FILE" is what to call at the end of a deployment

defaults: { stop: { signal: SIGINT } }
services:
  a:
    script: a.js
    args: [ "$\${X}", "a\\nb", "- #:" ]
    env:
      V: "1.10"
      W: "$\${Y:-z}\\t\\""
    rolling: { maxSurge: 0 }
    watch: true
    # vizion: true: gsup does not look into the repository of a program
  b:
    command: exec b c
    shell: true
    rolling: { maxSurge: 0 }
`);
  expect(await read(text)).toEqual(specOf(config));
});

async function read(text: string): Promise<SupervisorSpec> {
  const file = join(folder, 'supervisor.yaml');
  writeFileSync(file, text);
  const result = await readConfig(file, { env: {} });
  if (!result.ok) throw new Error(`${text}\n${JSON.stringify(result.problems)}`);
  return result.spec;
}

describe('any value gives a right file, or a GsupError', () => {
  const KEYS = Object.keys({
    name: 0,
    script: 0,
    args: 0,
    cwd: 0,
    interpreter: 0,
    node_args: 0,
    exec_mode: 0,
    instances: 0,
    env: 0,
    env_x: 0,
    port: 0,
    kill_timeout: 0,
    listen_timeout: 0,
    wait_ready: 0,
    shutdown_with_message: 0,
    autorestart: 0,
    stop_exit_codes: 0,
    restart_delay: 0,
    exp_backoff_restart_delay: 0,
    max_restarts: 0,
    min_uptime: 0,
    max_memory_restart: 0,
    log_type: 0,
    uid: 0,
    gid: 0,
    filter_env: 0,
    treekill: 0,
    source_map_support: 0,
    merge_logs: 0,
    append_env_to_name: 0,
    watch: 0,
    out_file: 0,
  });
  const likely = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      'max',
      'cluster',
      'true',
      '5000',
      -1,
      0,
      2,
      true,
      'a.js',
      'npm',
      'x y',
      '1.5',
      '10s',
      '300M',
      'node@1',
      'none',
      './d/',
      '${A}',
    ),
    fc.string({ unit: 'binary' }),
    fc.double(),
    fc.dictionary(fc.string({ unit: 'binary' }), fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue())),
    fc.array(fc.string({ unit: 'binary' })),
  );
  const anApp = fc
    .record({
      script: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom('a.js', 'a.py', 'npm', 'x && y') },
        { weight: 1, arbitrary: likely },
      ),
    })
    .chain((base) => fc.dictionary(fc.constantFrom(...KEYS), likely).map((more) => ({ ...more, ...base })));
  const holds = async (value: unknown) => {
    let imported: ReturnType<typeof importPm2>;
    try {
      imported = importPm2(value, { envName: 'x', processors: 4, look: () => 'text' });
    } catch (error) {
      if (!isGsupError(error)) throw error;
      expect(error.exitStatus).toBe(78);
      return;
    }
    const { config, notes } = imported;
    expect(await read(importedText(config, notes, 'x'))).toEqual(specOf(config));
  };
  test('JSON', () => fc.assert(fc.asyncProperty(fc.jsonValue(), holds), { numRuns: 300 }));
  test('apps', () => fc.assert(fc.asyncProperty(fc.array(anApp, { maxLength: 3 }), holds), { numRuns: 600 }));
});
