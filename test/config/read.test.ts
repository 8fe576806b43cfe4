import { chmodSync, mkdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatDiagnostics } from '../../src/config/diagnostic.ts';
import { readConfig } from '../../src/config/read.ts';
import type { SupervisorSpec } from '../../src/core/service.ts';
import { Folder } from '../kit/gsup.ts';

const ENV = { NAME: 'value', PORT: '3000' };

async function specOf(text: string, name = 'supervisor.yaml'): Promise<SupervisorSpec> {
  using folder = new Folder({ [name]: text });
  const result = await readConfig(`${folder.path}/${name}`, { env: ENV });
  if (!result.ok) throw new Error(formatDiagnostics(result.problems, { colour: false }));
  return result.spec;
}

/** What is said of a text, with the folder's name taken away. */
async function saidOf(text: string | Buffer, name = 'supervisor.yaml'): Promise<string> {
  using folder = new Folder();
  const file = folder.write(name, text);
  const result = await readConfig(file, { env: ENV });
  expect(result.ok).toBe(false);
  return formatDiagnostics(result.ok ? [] : result.problems, { colour: false }).replaceAll(`${folder.path}/`, '');
}

describe('a good file', () => {
  test('is filled with every default', async () => {
    const spec = await specOf('services:\n  api:\n    command: node "my server.js"\n');
    expect(spec.services[0]).toMatchObject({
      name: 'api',
      program: { kind: 'command', argv: ['node', 'my server.js'] },
      instances: 1,
      ready: null,
      restart: {
        policy: 'always',
        minDelayMs: 250,
        maxDelayMs: 60_000,
        limit: 10,
        windowMs: 60_000,
        successExitCodes: [0],
      },
      stop: { signal: null, graceMs: 10_000, killMode: 'mixed', drainDelayMs: 0, preStop: null, message: false },
      critical: false,
    });
    expect(spec.shutdownTimeoutMs).toBe(null);
  });

  test('takes defaults for every service, key by key', async () => {
    const spec = await specOf(`
defaults: { stop: { grace: 3s, killMode: group }, env: { A: 1 }, ready: { tcp: 80, timeout: 5s } }
services:
  a: { command: a, stop: { grace: 1s }, env: { B: true } }
  b: { command: b, ready: { log: up } }
`);
    expect(spec.services).toMatchObject([
      { stop: { graceMs: 1_000, killMode: 'group' }, env: { A: '1', B: 'true' }, ready: { check: { kind: 'tcp' } } },
      { stop: { graceMs: 3_000 }, env: { A: '1' }, ready: { check: { kind: 'log', pattern: 'up' }, timeoutMs: 5_000 } },
    ]);
  });

  test('has variables put in, and a number stays a number', async () => {
    const spec = await specOf(`
services:
  a: { command: [echo, "$\{NAME}", '$\{NOT_SET:-there}', "$$\{NAME}"], instances: $\{COUNT:-3}, env: { P: $\{PORT} } }
`);
    expect(spec.services[0]).toMatchObject({
      program: { argv: ['echo', 'value', 'there', '${NAME}'] },
      instances: 3,
      env: { P: '3000' },
    });
  });

  test('may be JSON, or a module', async () => {
    const text = '{"services": {"a": {"script": "a.js", "restart": "never"}}}';
    expect((await specOf(text, 'supervisor.json')).services[0]).toMatchObject({ restart: { policy: 'never' } });
    expect((await specOf(`export default ${text}`, 'supervisor.config.mjs')).services).toHaveLength(1);
  });

  test('warns of a dependency that can hardly complete', async () => {
    using folder = new Folder();
    const file = folder.write(
      's.yaml',
      'services:\n  a: { command: a, dependsOn: { b: completed } }\n  b: { command: b }\n',
    );
    const result = await readConfig(file, { env: ENV });
    expect(result).toMatchObject({ ok: true, warnings: [{ line: 3, column: 3 }] });
  });
});

describe('a mistake is told with its place and what was expected', () => {
  test.each([
    [
      'an unknown key',
      'services:\n  a:\n    comand: x\n    script: y\n',
      's.yaml:3:5 unknown key "comand" in services.a; did you mean "command"?\n  3 |     comand: x\n    |     ^^^^^^',
    ],
    [
      'a bad duration',
      'services:\n  a: { command: x, stop: { grace: 10 sec } }\n',
      's.yaml:2:35 services.a.stop.grace: "10 sec" is no duration; expected 500ms, 10s or 1m30s\n  2 |   a: { command: x, stop: { grace: 10 sec } }\n    |                                   ^^^^^^',
    ],
    [
      'a shell line',
      'services:\n  a: { command: "a | b" }\n',
      's.yaml:2:17 the command line needs a shell for |; quote it, or add "shell: true"\n  2 |   a: { command: "a | b" }\n    |                 ^^^^^^^',
    ],
    [
      'a feature to come',
      'services:\n  a:\n    command: x\n    sockets: { a: 1 }\n',
      's.yaml:4:5 "sockets" is not supported yet by this version of gsup\n  4 |     sockets: { a: 1 }\n    |     ^^^^^^^',
    ],
    [
      'an unset variable',
      'services:\n  a: { command: "${NOPE}" }\n',
      's.yaml:2:17 ${NOPE} is not set; set it, or give a default: ${NOPE:-value}\n  2 |   a: { command: "${NOPE}" }\n    |                 ^^^^^^^^^',
    ],
    [
      'an unknown dependency',
      'services:\n  api: { command: x, dependsOn: [bd] }\n  db: { command: y }\n',
      's.yaml:2:34 api depends on "bd", which is no service; did you mean "db"?\n  2 |   api: { command: x, dependsOn: [bd] }\n    |                                  ^^',
    ],
    [
      'a cycle',
      'services:\n  a: { command: x, dependsOn: { b: ready } }\n  b: { command: y, dependsOn: { a: ready } }\n',
      's.yaml:2:33 services depend on each other in a circle: a → b → a\n  2 |   a: { command: x, dependsOn: { b: ready } }\n    |                                 ^',
    ],
    [
      'nothing to run',
      'services:\n  a: { cwd: . }\n',
      's.yaml:2:3 services.a has nothing to run; give it a command or a script\n  2 |   a: { cwd: . }\n    |   ^',
    ],
    [
      'two checks',
      'services:\n  a: { command: x, ready: { tcp: 80, log: y } }\n',
      's.yaml:2:20 ready has tcp and log; exactly one is allowed\n  2 |   a: { command: x, ready: { tcp: 80, log: y } }\n    |                    ^^^^^',
    ],
    [
      'a bad name',
      'services:\n  all: { command: x }\n',
      's.yaml:2:3 "all" is no name of a service; use letters, digits, _ . - and not "all"\n  2 |   all: { command: x }\n    |   ^^^',
    ],
    [
      'a key twice',
      'services:\n  a: { command: x }\n  a: { command: y }\n',
      's.yaml:3:3 map keys must be unique\n  3 |   a: { command: y }\n    |   ^',
    ],
    [
      'no YAML',
      'services:\n  a: { command: x\n',
      's.yaml:3:1 flow map in block collection must be sufficiently indented and end with a }\n  3 | \n    | ^',
    ],
    [
      'no services',
      'services: {}\n',
      's.yaml:1:1 there are no services; add one below "services:"\n  1 | services: {}\n    | ^^^^^^^^',
    ],
    [
      'a missing map',
      'shutdown: { timeout: 1s }\n',
      's.yaml:1:1 "services" is missing in the file\n  1 | shutdown: { timeout: 1s }\n    | ^',
    ],
    ['an empty file', '', 's.yaml: is empty; "gsup init" writes one to begin with'],
    ['a list', '- a\n', 's.yaml: is no map; it needs "services:"'],
  ])('%s', async (_, text, said) => {
    expect(await saidOf(text, 's.yaml')).toBe(said);
  });

  test('all of a file at once, in its order', async () => {
    const text =
      'services:\n  a:\n    command: x | y\n    instances: 0\n    user: [1]\n  b:\n    comand: z\n    dependsOn: [c]\n';
    const places = (await saidOf(text, 's.yaml')).match(/^s\.yaml:\d+:\d+/gm);
    expect(places).toEqual(['s.yaml:3:14', 's.yaml:4:16', 's.yaml:5:11', 's.yaml:7:5', 's.yaml:8:17']);
  });

  test('of the file itself: missing, a directory, too large, binary', async () => {
    using folder = new Folder();
    mkdirSync(`${folder.path}/folder.yaml`);
    folder.write('large.yaml', Buffer.alloc(10 * 1024 * 1024, 'a'));
    folder.write('binary.yaml', Buffer.from([1, 0, 2]));
    folder.write('latin.yaml', Buffer.from([0xe4, 0xff]));
    const said = async (name: string) => {
      const result = await readConfig(`${folder.path}/${name}`, { env: ENV });
      return result.ok ? 'fine' : result.problems.map(({ message }) => message).join();
    };
    expect(await said('none.yaml')).toBe('does not exist; "gsup init" writes one');
    expect(await said('folder.yaml')).toBe('is a directory; name a file in it');
    expect(await said('large.yaml')).toBe(
      'has 10MiB; a configuration of over 1MiB is refused, is this the right file?',
    );
    expect(await said('binary.yaml')).toBe('is a binary file, not YAML');
    expect(await said('latin.yaml')).toBe('is not UTF-8 text');
    chmodSync(`${folder.path}/binary.yaml`, 0);
  });
});
