/** A file → its services, or every problem of it as people see it. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the variables of a file
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatDiagnostics } from '../../src/config/diagnostic.ts';
import { readConfig } from '../../src/config/read.ts';
import type { SupervisorSpec } from '../../src/core/service.ts';

const ENV = { PORT: '8080', N: '3', EMPTY: '', CODE: '0080', STAR: '*abc', HASH: 'pass # word' };
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(content: string | Uint8Array, name = 'supervisor.yaml'): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** What is printed about a file, with the folder taken away. */
async function told(content: string | Uint8Array, name?: string): Promise<string> {
  return toldOf(write(content, name));
}

async function toldOf(file: string): Promise<string> {
  const result = await readConfig(file, { env: ENV });
  expect(result.ok).toBe(false);
  return result.ok ? '' : formatDiagnostics(result.problems, { colour: false }).replaceAll(`${folder}/`, '');
}

/** The messages alone, with line and column. */
async function heads(content: string): Promise<readonly string[]> {
  return (await told(content)).split('\n').filter((line) => line.startsWith('supervisor.yaml'));
}

async function spec(content: string, name?: string): Promise<SupervisorSpec> {
  const result = await readConfig(write(content, name), { env: ENV });
  if (!result.ok) throw new Error(formatDiagnostics(result.problems, { colour: false }));
  return result.spec;
}

async function service(lines: string) {
  const [first] = (await spec(`services:\n  api:\n    command: x\n${lines.replace(/^/gm, '    ')}\n`)).services;
  return first;
}

describe('what cannot be a configuration', () => {
  test('a missing file', async () => {
    expect(await toldOf(join(folder, 'none.yaml'))).toBe('none.yaml: does not exist; "gsup init" writes one');
  });
  test('a directory', async () => {
    mkdirSync(join(folder, 'conf'), { recursive: true });
    expect(await toldOf(join(folder, 'conf'))).toBe('conf: is a directory; name a file in it');
  });
  test.skipIf(process.getuid?.() === 0)('a file without permission', async () => {
    const file = write('services: {}', 'secret.yaml');
    chmodSync(file, 0);
    expect(await toldOf(file)).toBe('secret.yaml: may not be read: no permission');
  });
  test.each([
    ['empty', ''],
    ['of blanks', ' \n\n'],
    ['of comments', '# services:\n'],
  ])('a file that is %s', async (_, text) => {
    expect(await told(text)).toBe('supervisor.yaml: is empty; "gsup init" writes one to begin with');
  });
  test('a file of 10 MiB', async () => {
    const expected = 'supervisor.yaml: has 10MiB; a configuration of over 1MiB is refused, is this the right file?';
    expect(await told('a'.repeat(10 * 1024 ** 2))).toBe(expected);
  });
  test('a binary file', async () => {
    expect(await told(Uint8Array.of(65, 0, 66))).toBe('supervisor.yaml: is a binary file, not YAML');
    expect(await told(Uint8Array.of(65, 0xff, 66))).toBe('supervisor.yaml: is not UTF-8 text');
  });
  test.each(['- a\n', 'hello\n', '5\n'])('a file that is no map: %j', async (text) => {
    expect(await told(text)).toBe('supervisor.yaml: is no map; it needs "services:"');
  });
  test('aliases of aliases that would fill the memory', async () => {
    const lines = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`)}]`);
    expect(await told(['a0: &a0 [x]', ...lines].join('\n'))).toMatch(/^supervisor\.yaml: Excessive alias count/);
  });
});

describe('syntax errors have their place', () => {
  test('a key twice', async () => {
    expect(await told('services:\n  api: { command: x }\n  api: { command: y }\n')).toBe(
      ['supervisor.yaml:3:3 the key api is there twice', '  3 |   api: { command: y }', '    |   ^^^'].join('\n'),
    );
  });
  test('an alias of nothing', async () => {
    expect(await told('services:\n  api: *base\n')).toBe(
      ['supervisor.yaml:2:8 no &base stands before this alias', '  2 |   api: *base', '    |        ^^^^^'].join('\n'),
    );
  });
  test('a bracket that is not closed', async () => {
    expect(await heads('services:\n  api: { command: [x }\n')).not.toEqual([]);
  });
});

describe('a problem is told with its line and what was expected', () => {
  test('an unknown key and the nearest known one', async () => {
    const text = 'services:\n  api:\n    command: x\n    stop:\n      grase: 10s\n';
    expect(await told(text)).toBe(
      [
        'supervisor.yaml:5:7 unknown key "grase" in services.api.stop; did you mean "grace"?',
        '  5 |       grase: 10s',
        '    |       ^^^^^',
      ].join('\n'),
    );
  });

  test('all problems of a file at once, in its order', async () => {
    const text = `shutdown: { timeout: soon }
foo: 1
services:
  api:
    commnd: x
    command: "a | b"
    stop: { signal: SIGTREM, killmode: group }
    dependsOn: [bd]
  db:
    command: y
    instances: 0
    restart: alway
`;
    expect(await heads(text)).toEqual([
      'supervisor.yaml:1:22 shutdown.timeout: "soon" is no duration; expected 500ms, 10s or 1m30s',
      'supervisor.yaml:2:1 unknown key "foo" in the file; it may have shutdown, http, defaults, services',
      'supervisor.yaml:5:5 unknown key "commnd" in services.api; did you mean "command"?',
      'supervisor.yaml:6:14 the command line needs a shell for |; quote it, or add "shell: true"',
      'supervisor.yaml:7:21 services.api.stop.signal: "SIGTREM" is no signal; expected SIGTERM, TERM or 15; did you mean "SIGTERM"?',
      'supervisor.yaml:7:30 unknown key "killmode" in services.api.stop; did you mean "killMode"?',
      'supervisor.yaml:8:17 api depends on "bd", which is no service; did you mean "db"?',
      'supervisor.yaml:11:16 services.db.instances: expected a whole number from 1 to 1000, or max, not 0',
      'supervisor.yaml:12:14 services.db.restart: expected always, on-failure, never, or a map, not "alway"; did you mean "always"?',
    ]);
  });

  test.each([
    ['env: [A=B]', '4:10 services.api.env: expected a map of variables, not a list'],
    ['stop: []', '4:11 services.api.stop: expected a map, not a list'],
    ['stop: 5', '4:11 services.api.stop: expected a map, not 5'],
    ['env: { A: }', '4:15 services.api.env.A: expected a text, a number, true or false, not nothing'],
    ['critical: 1', '4:15 services.api.critical: expected true or false, not 1'],
    ['umask: 999', '4:12 services.api.umask: "999" is no umask; expected 022'],
    ['limits: { memory: big }', '4:23 services.api.limits.memory: "big" is no size; expected 300MB or 64KiB'],
    ['nice: 20', '4:11 services.api.nice: expected a whole number from -20 to 19, not 20'],
    ['ready: { log: "(" }', '4:19 "(" is no regular expression'],
    ['ready: { tcp: "localhost" }', '4:19 "localhost" is no address; expected host:port'],
    ['ready: { http: "ftp://x" }', '4:20 "ftp://x" is no address; expected http://host:port/path'],
    ['ready: { timeout: 3s }', '4:5 ready needs one of http, tcp, exec, log, message, notify, fd'],
    [
      'live: { log: x }',
      '4:13 unknown key "log" in services.api.live; it may have http, tcp, exec, notify, initialDelay, interval, timeout, failureThreshold',
    ],
    ['ready: { fd: 3 }\n    sockets: { a: 3000, b: 3001 }', '4:18 3 to 4 are those of its sockets; use fd: 5'],
    [
      'sockets: { a: 3000, b: ":3000" }',
      '4:28 [::]:3000 is a socket of api (a) already; each address belongs to one socket',
    ],
    ['live: {}', '4:5 live needs one of http, tcp, exec, notify'],
    [
      'sockets: { http: example.org:80 }',
      '4:22 the address of the socket http has a host name: "example.org"; write an address, such as 127.0.0.1 or *',
    ],
    ['sockets: { http: 70000 }', '4:22 the address of the socket http has no port from 1 to 65535: "70000"'],
    ['sockets: [3000]', '4:14 services.api.sockets: expected a map of name to address, not a list'],
    ['rolling: { maxSurge: -1 }', '4:26 services.api.rolling.maxSurge: expected a whole number from 0 to 1000, not -1'],
    ['ready: { fd: 2 }', '4:18 services.api.ready.fd: expected a whole number from 3 to 255, not 2'],
    ['ready: { tcp: 80, log: x }', '4:5 ready has tcp and log; exactly one is allowed'],
    ['restart: { minDelay: 2s, maxDelay: 1s }', '4:26 restart.minDelay is longer than restart.maxDelay'],
    ['script: a.js', '4:5 services.api has both command and script; one is enough'],
    ['args: [a]', '4:5 "args" goes with a script, not with a command; write it into the command'],
    ['envFile: none.env', '4:14 the env file none.env does not exist'],
    ['env: { A: "${NOPE}" }', '4:15 ${NOPE} is not set; set it, or give a default: ${NOPE:-value}'],
    ['env: { A: "a\\0b" }', '4:15 no program can be given a text with a NUL in it'],
    ['dependsOn: [api]', '4:17 services depend on each other in a circle: api → api'],
  ])('%s', async (line, head) => {
    expect(await heads(`services:\n  api:\n    command: x\n    ${line}\n`)).toEqual([`supervisor.yaml:${head}`]);
  });

  test('a circle is named with its path', async () => {
    const text =
      'services:\n  a: { command: x, dependsOn: [b] }\n  b: { command: x, dependsOn: { c: started } }\n  c: { command: x, dependsOn: [a] }\n';
    expect(await heads(text)).toEqual([
      'supervisor.yaml:2:32 services depend on each other in a circle: a → b → c → a',
    ]);
  });

  test.each(['all', 'a b', '-a'])('the service name %j', async (name) => {
    expect(await heads(`services:\n  ${name}: { command: x }\n`)).toEqual([
      `supervisor.yaml:2:3 "${name}" is no name of a service; use letters, digits, _ . - and not "all"`,
    ]);
  });

  test('no services, and a service with nothing to run', async () => {
    expect(await heads('services: {}\n')).toEqual([
      'supervisor.yaml:1:1 there are no services; add one below "services:"',
    ]);
    expect(await heads('services: { api: }\n')).toEqual([
      'supervisor.yaml:1:13 services.api has nothing to run; give it a command or a script',
    ]);
  });

  test('broken defaults are told once, not at every service', async () => {
    expect(await heads('defaults: { command: [] }\nservices: { a: {}, b: {} }\n')).toEqual([
      'supervisor.yaml:1:22 defaults.command: expected a command line or a list of words, not an empty list',
    ]);
  });

  test('a long line is cut around the place', async () => {
    const text = `services: { api: { command: x, env: { A: "${'a'.repeat(300)}" }, grase: 1 } }\n`;
    const [, line = '', carets = ''] = (await told(text)).split('\n');
    expect(line.length).toBeLessThan(130);
    expect(line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('grase');
  });

  test('colours are for terminals', () => {
    const diagnostic = { file: 'f', line: 1, column: 1, length: 1, message: 'm', source: 'x' };
    expect(formatDiagnostics([diagnostic], { colour: true })).toContain('\u001b[31m^');
    expect(formatDiagnostics([diagnostic], { colour: false })).toBe('f:1:1 m\n  1 | x\n    | ^');
  });
});

describe('what a right file means', () => {
  test('defaults stand under every service, map by map', async () => {
    const { services, shutdownTimeoutMs } = await spec(`shutdown: { timeout: 45s }
defaults:
  command: base
  env: { A: "1", B: "1" }
  ready: { tcp: 80, timeout: 3s }
  restart: { policy: never, limit: 3 }
  stop: { grace: 3s, signal: INT }
services:
  a: { env: { B: "2" }, ready: { log: up }, restart: on-failure, stop: { grace: 1m30s } }
  b: { script: b.js }
`);
    expect(shutdownTimeoutMs).toBe(45_000);
    expect(services[0]).toMatchObject({
      program: { kind: 'command', argv: ['base'] },
      cwd: folder,
      env: { A: '1', B: '2' },
      ready: { check: { kind: 'log', pattern: 'up' }, intervalMs: 200, timeoutMs: 3_000 },
      restart: { policy: 'on-failure', limit: 3, minDelayMs: 250 },
      stop: { graceMs: 90_000, signal: 'SIGINT', killMode: 'mixed' },
    });
    expect(services[1]?.program).toEqual({
      kind: 'script',
      script: join(folder, 'b.js'),
      args: [],
      interpreter: null,
      interpreterArgs: [],
    });
  });

  test('variables are put in, numbers stay numbers, and texts stay as written', async () => {
    expect(await service('instances: ${N:-2}')).toMatchObject({ instances: 3 });
    expect(await service('instances: ${NONE:-2}')).toMatchObject({ instances: 2 });
    const env =
      'env: { P: ${PORT}, C: ${CODE}, E: "${EMPTY:-e}", D: "$${x}", V: 1.10, W: 0022, T: true, S: ${STAR}, H: ${HASH} }';
    expect((await service(env))?.env).toEqual({
      ...{ P: '8080', C: '0080', E: 'e', D: '${x}', V: '1.10', W: '0022', T: 'true' },
      ...{ S: '*abc', H: 'pass # word' },
    });
  });

  test.each([
    ['ready: message', { ready: { check: { kind: 'message' } } }],
    ['ready: { tcp: 5432 }', { ready: { check: { kind: 'tcp', host: '127.0.0.1', port: 5432 } } }],
    ['ready: { tcp: "[::1]:80" }', { ready: { check: { kind: 'tcp', host: '::1', port: 80 } } }],
    ['ready: { exec: "pg_isready -q" }', { ready: { check: { kind: 'exec', argv: ['pg_isready', '-q'] } } }],
    ['umask: 022', { umask: 0o22 }],
    ['umask: "077"', { umask: 0o77 }],
    ['user: 1000', { user: '1000' }],
    ['dependsOn: []', { dependsOn: {} }],
    ['limits: { memory: 300MB }', { memoryLimitBytes: 300_000_000 }],
    ['stop: { preStop: { exec: [a, 1] } }', { stop: { preStop: { argv: ['a', '1'], timeoutMs: 5_000 } } }],
    ['shell: true', { program: { kind: 'shell', line: 'x' } }],
  ])('%s', async (line, expected) => {
    expect(await service(line)).toMatchObject(expected);
  });

  test('a command is split into words, and a list is taken as it is', async () => {
    const { services } = await spec(`services:
  a: { command: "nginx -g 'daemon off;'" }
  b: { command: [node, "a b.js", 3000, true] }
  c: { command: true }
`);
    expect(services.map(({ program }) => program)).toEqual([
      { kind: 'command', argv: ['nginx', '-g', 'daemon off;'] },
      { kind: 'command', argv: ['node', 'a b.js', '3000', 'true'] },
      { kind: 'command', argv: ['true'] },
    ]);
  });

  test('JSON, and a module', async () => {
    const json = await spec('{\n\t"services": { "api": { "command": "x" } }\n}', 'supervisor.json');
    const code = 'export default { services: { api: { command: "x", env: { A: 1 } } } };';
    const module = await spec(code, 'supervisor.config.mjs');
    expect([json, module].map(({ services }) => services[0]?.name)).toEqual(['api', 'api']);
    expect(module.services[0]?.env).toEqual({ A: '1' });
  });

  test('problems of what a module exports have no place, what it throws has one', async () => {
    expect(await told('export default { services: { api: { comand: "x" } } };', 'bad.config.mjs')).toBe(
      [
        'bad.config.mjs: unknown key "comand" in services.api; did you mean "command"?',
        'bad.config.mjs: services.api has nothing to run; give it a command or a script',
      ].join('\n'),
    );
    expect(await told('export const a = 1;', 'none.config.mjs')).toBe('none.config.mjs: has no default export');
    expect(await told('throw new Error("boom");', 'throws.config.mjs')).toBe(
      `throws.config.mjs:1:7 cannot be loaded: boom
  1 | throw new Error("boom");
    |       ^`,
    );
  });

  test('waiting for the completion of what is always restarted is a warning', async () => {
    const file = write('services:\n  m: { command: x }\n  a: { command: y, dependsOn: { m: completed } }\n');
    const result = await readConfig(file, { env: {} });
    expect(result.ok && result.warnings.map(({ line, message }) => `${line} ${message}`)).toEqual([
      '2 warning: a waits until m has completed, but m is restarted always; give it "restart: on-failure"',
    ]);
  });

  test('the example of the repository is right', async () => {
    const result = await readConfig('supervisor.example.yaml', { env: {} });
    expect(result.ok && result.spec.services.map(({ name }) => name)).toEqual(['prepare', 'api', 'pool']);
    expect(readFileSync('supervisor.example.yaml', 'utf8').split('\n').length).toBeLessThanOrEqual(60);
  });
});

describe('a file that was written to be endless', () => {
  const KEYS = 20_000;
  test.each([
    ['brackets', '['.repeat(100_000)],
    ['maps', '{a: '.repeat(20_000)],
    [
      'unknown keys',
      `services:\n  a:\n    command: x\n${Array.from({ length: KEYS }, (_, n) => `    k${n}: 1\n`).join('')}`,
    ],
    [
      'unknown dependencies',
      `services:\n${Array.from({ length: 3_000 }, (_, n) => `  s${n}: {command: x, dependsOn: [t${n}]}\n`).join('')}`,
    ],
    ['variables without an end', `services:\n  a:\n    command: "${'${a:-'.repeat(100_000)}"\n    x: 1\n`],
    ['a value', `services:\n  a:\n    command: x\n    restart: "${'x'.repeat(500_000)}"\n`],
    ['a key', `services:\n  a:\n    command: x\n    ${'x'.repeat(90_000)}: 1\n`],
    ['a name', `services:\n  ${'x'.repeat(90_000)}:\n    command: x\n`],
    ['control characters', `services:\n  a:\n    command: x\n    "\u001b]0;PWNED\u0007\u202e": "\u001b[2J"\n`],
  ])('of %s: is told in some seconds, with 20 problems at most and lines that people can read', async (_, content) => {
    const began = performance.now();
    const text = await told(content);
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(text.split('\n').filter((line) => /^supervisor\.yaml:\d+/.test(line)).length).toBeLessThanOrEqual(20);
    expect(text.length).toBeLessThan(20_000);
    expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
  });

  test('says how many problems it does not show', async () => {
    const keys = Array.from({ length: 50 }, (_, n) => `    k${n}: 1\n`).join('');
    expect((await heads(`services:\n  a:\n    command: x\n${keys}`)).at(-1)).toBe(
      'supervisor.yaml: and 30 more problems',
    );
  });
});

describe('names that every object has', () => {
  test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    '%s is a variable as any other, and an unknown service, socket or key is told',
    async (name) => {
      const found = await service(`env: { "${name}": x, B: y }\nsockets: { a: 8080 }`);
      expect(Object.entries(found?.env ?? {})).toEqual([
        [name, 'x'],
        ['B', 'y'],
      ]);
      for (const dependsOn of [`{"${name}": started}`, `["${name}"]`, name])
        expect(await heads(`services:\n  a:\n    command: x\n    dependsOn: ${dependsOn}\n`), dependsOn).toEqual([
          expect.stringContaining(
            dependsOn === name ? 'expected a list of services' : `a depends on "${name}", which is no service`,
          ),
        ]);
      expect(await heads(`services:\n  a: {command: x, "${name}": 1}\n`)).toEqual([
        expect.stringContaining(`unknown key "${name}" in services.a`),
      ]);
      // The one of them that is no property of an object.
      if (name !== 'prototype')
        expect(await heads(`services:\n  a: {command: x}\n  "${name}": {command: x}\n`)).toEqual([
          expect.stringContaining(`"${name}" is no name of a service`),
        ]);
      expect(await heads(`services:\n  a: {command: x, env: {"${name}": [1]}}\n`)).toEqual([
        expect.stringContaining(`services.a.env.${name}: expected a text, a number, true or false`),
      ]);
    },
  );

  test('a socket keeps the name that it was given', async () => {
    const found = await service('sockets: { constructor: 8080, "__proto__": 8081 }');
    expect(found?.sockets.map(({ name }) => name)).toEqual(['constructor', '__proto__']);
  });

  test('a variable of that name is not set in an environment that does not have it', async () => {
    expect(await heads('services:\n  a: {command: "${constructor}"}\n')).toEqual([
      expect.stringContaining('${constructor} is not set'),
    ]);
  });
});
