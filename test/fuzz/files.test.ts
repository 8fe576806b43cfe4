/** Every parser of a file that gsup did not write itself, or that a crash may have damaged: no crash, no hang, no growth. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, test } from 'vitest';
import { instanceViews } from '../../src/api/queries.ts';
import { formatDiagnostics } from '../../src/config/diagnostic.ts';
import { checkSource } from '../../src/config/read.ts';
import { readYaml } from '../../src/config/source.ts';
import { parseAddress } from '../../src/core/address.ts';
import { parseDuration } from '../../src/core/duration.ts';
import { isGsupError } from '../../src/core/error.ts';
import { parseNotify } from '../../src/core/notify.ts';
import { restoreState } from '../../src/core/restore.ts';
import { initialState } from '../../src/core/root-state.ts';
import { parseSize } from '../../src/core/size.ts';
import { readOccasions } from '../../src/daemon/history.ts';
import { instanceEnvironment } from '../../src/host/environment.ts';
import { resolveCommand } from '../../src/host/interpreter.ts';
import { importPm2, looksLikePm2 } from '../../src/interop/pm2.ts';
import { importProcfile } from '../../src/interop/procfile.ts';
import { LineCollector } from '../../src/logs/collector.ts';
import { parseLine } from '../../src/logs/format.ts';
import { Store } from '../../src/supervisor/store.ts';
import { fuzz } from '../kit/fuzz.ts';
import { Folder } from '../kit/gsup.ts';
import { serviceSpec } from '../kit/spec.ts';

const LONGEST_REPORT = 100_000;
const ROOT = resolve(import.meta.dirname, '../..');
const folder = new Folder();
const file = join(folder.path, 'input');
afterAll(() => folder[Symbol.dispose]());

/** Refusals with a sentence are what the user is supposed to get. */
async function unlessRefused(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isGsupError(error)) throw error;
    if (error.message.length > LONGEST_REPORT) throw new Error(`a message of ${error.message.length} characters`);
  }
}

const YAML = [
  readFileSync(join(ROOT, 'supervisor.example.yaml'), 'utf8'),
  'services: { api: { command: node server.js, ready: { log: "^up", timeout: 3s }, env: { A: "${HOME:-x}" } } }\n',
  'defaults: &d { restart: on-failure }\nservices:\n  a: { <<: *d, command: [x, "y z"], dependsOn: { b: ready } }\n  b: { script: b.js }\n',
];
const YAML_WORDS = [
  'services:',
  'command: ',
  '&a ',
  '*a',
  '<<: ',
  '!!binary ',
  '- ',
  '${A}',
  '"',
  '__proto__',
  '? ',
  '|-\n',
  '{[',
  ']}',
];

test('supervisor.yaml', () =>
  fuzz({
    name: 'supervisor.yaml',
    seeds: YAML,
    words: YAML_WORDS,
    run: (input) => {
      const source = readYaml('supervisor.yaml', input.toString(), { HOME: '/root' });
      const result = checkSource('supervisor.yaml', source);
      const problems = result.ok ? result.warnings : result.problems;
      const text = formatDiagnostics(problems, { colour: false });
      if (text.length > LONGEST_REPORT) throw new Error(`a report of ${text.length} characters`);
    },
  }));

test('a Procfile', () =>
  fuzz({
    name: 'Procfile',
    seeds: [
      'web: bundle exec rails server -p $PORT\nworker: env QUEUE=* rake work # jobs\n',
      'a_b-1:  node "x y.js" && echo done\n',
    ],
    words: ['web: ', '$PORT', '&&', '"', "'", '\\\n', '#'],
    run: (input) =>
      unlessRefused(() =>
        importProcfile(input.toString(), { file: 'Procfile', basePort: 5000, hasEnvFile: false, endsTogether: true }),
      ),
  }));

test('an ecosystem file', () =>
  fuzz({
    name: 'ecosystem',
    seeds: [
      '{ "apps": [{ "name": "api", "script": "app.js", "args": "--port 3000 \'a b\'", "instances": "max", "env": { "A": 1 }, "kill_timeout": "3s", "cron_restart": "0 3 * * *" }] }',
      '[{ "script": "./x.py", "interpreter": "python3", "watch": ["src"], "max_memory_restart": "300M", "exec_mode": "cluster" }]',
    ],
    words: ['"apps": ', '"script": ', 'null', '[]', '{}', '"__proto__": ', 'true', '"-1"'],
    run: (input) =>
      unlessRefused(() => {
        const source = readYaml('ecosystem.json', input.toString(), null);
        if (source.ok && looksLikePm2(source.value))
          importPm2(source.value, { envName: null, look: () => 'text', processors: 2 });
      }),
  }));

test('the state and its changes', () => {
  const state = join(folder.path, 'state.json');
  const spec = serviceSpec({ name: 'api', instances: 2 });
  const saved = {
    state: initialState({ services: [spec], shutdownTimeoutMs: null }, true),
    runs: { 'api:0': { token: 't', pid: 7, startTicks: 8, channel: null, sockets: {} } },
    ...{ bootId: 'boot', clockBase: 0, environments: { api: 'e' }, file: null },
  };
  const store = new Store(state);
  store.write(saved);
  const whole = readFileSync(state, 'utf8');
  const [revision] = /"revision":\d+/.exec(whole) ?? [];
  store.append({ ...saved, state: { ...saved.state, verdict: 'killed' } }, () => null);
  const changes = readFileSync(`${state}.changes`, 'utf8');
  store.close();
  return fuzz({
    name: 'state',
    seeds: [whole, changes],
    words: ['{"format":1,', `{${revision}}\n`, '"state":{', '"services":{', '"instances":[', 'null', '"runs":{}', '\n'],
    run: (input) =>
      unlessRefused(() => {
        const isChanges = !input.toString().includes('"format"');
        writeFileSync(state, isChanges ? whole : input);
        writeFileSync(`${state}.last-good`, whole);
        writeFileSync(`${state}.changes`, isChanges ? input : changes);
        const { saved: read } = new Store(state).read();
        if (read === null) throw new Error('the copy was not taken');
        const { state: restored } = restoreState(read.state, true);
        const nobody = { tokenOf: () => null, statusOf: () => null, stopsOf: () => null, usage: new Map() };
        instanceViews(restored, { now: 0, setByMs: 0, ...nobody });
      }),
  });
});

const RECORDS = [
  '{"level":30,"time":1796092473967,"mono":3057547,"phase":"supervisor-started","pid":6306,"boot":"b","version":"0.1.0","msg":"x"}',
  '{"level":30,"time":1796092474034,"mono":3057613.8,"phase":"spawned","service":"api","instance":"api:0","pid":6354,"command":"/usr/bin/sleep 1000","reason":"gsup start","run":1,"msg":"started"}',
  '{"level":30,"time":1796092475034,"mono":3058613,"phase":"stop-requested","service":"api","instance":"api:0","pid":6354,"reason":"gsup stop","graceMs":10000,"deadline":1796092485034,"run":1,"msg":"x"}',
  '{"level":30,"time":1796092475035,"mono":3058614,"phase":"signal-sent","service":"api","instance":"api:0","pid":6354,"signal":"SIGTERM","target":"leader","graceMs":10000,"run":1,"msg":"x"}',
  '{"level":30,"time":1796092475040,"mono":3058619,"phase":"exited","service":"api","instance":"api:0","pid":6354,"exitCode":0,"exitSignal":null,"run":1,"msg":"x"}',
  '{"level":30,"time":1796092475041,"mono":3058620,"phase":"stopped","service":"api","instance":"api:0","verdict":"clean","graceMs":10000,"graceUsed":0.001,"run":1,"msg":"x"}',
].map((line) => `${line}\n`);

test('the journal', () =>
  fuzz({
    name: 'journal',
    seeds: [RECORDS.join(''), ...RECORDS],
    words: ['"phase":', '"exited"', '"time":-1', '"mono":', 'null', '{}', '"survivors":[{}]', '"instance":"api:0"'],
    run: async (input) => {
      writeFileSync(file, input);
      await readOccasions([file], { names: [], kinds: [], last: 20 });
    },
  }));

test('log files in every format', () =>
  fuzz({
    name: 'logs',
    seeds: [
      '2026-12-01T02:34:33.123456789Z stdout F a line\n2026-12-01T02:34:33.123456789Z stderr P a piece\n2026-12-01T02:34:33.123456789Z stderr F and its end\n',
      '{"time":"2026-12-01T02:34:33.123456789Z","stream":"stdout","line":"a line"}\n',
    ],
    words: [' stdout F ', ' stderr P ', '\n', '"partial":true', 'Z'],
    run: (input) => {
      for (const format of ['cri', 'json', 'raw'] as const) {
        const collector = new LineCollector(format);
        const half = input.length >> 1;
        collector.push(input.subarray(0, half));
        collector.push(input.subarray(half));
        collector.endOfFile();
        parseLine(input, format);
      }
    },
  }));

test('durations, sizes, addresses and notifications', () =>
  fuzz({
    name: 'values',
    seeds: [
      '1m30s',
      '500ms',
      '1.5h',
      '64KiB',
      '300MB',
      '127.0.0.1:3000',
      '[::1]:80',
      'unix:/run/x.sock',
      'READY=1\nSTATUS=up\nEXTEND_TIMEOUT_USEC=5000000',
    ],
    words: ['s', 'ms', 'µs', 'KiB', ':', '[', ']', 'unix:', 'READY=1', 'MAINPID=', '\n'],
    run: (input) => {
      const text = input.toString();
      for (const ms of [parseDuration(text), parseSize(text)])
        if (ms !== null && !(Number.isFinite(ms) && ms >= 0)) throw new Error(`${ms}`);
      parseAddress(text);
      parseNotify(text);
    },
  }));

test('the first line of a script', () => {
  mkdirSync(join(folder.path, 'bin'));
  const script = join(folder.path, 'bin', 'script');
  return fuzz({
    name: 'shebang',
    seeds: ['#!/bin/sh\necho\n', '#!/usr/bin/env -S node --flag\n', '#! /usr/bin/python3 -u', '\ufeff#!/bin/sh\r\n'],
    words: ['#!', '/usr/bin/env ', '-S ', 'node', ' ', '\r\n', '\t'],
    run: (input) =>
      unlessRefused(() => {
        writeFileSync(script, input, { mode: 0o755 });
        const program = { kind: 'script', script, args: [], interpreter: null, interpreterArgs: [] } as const;
        resolveCommand({ ...serviceSpec(), program, cwd: folder.path }, process.env['PATH']);
      }),
  });
});

test('an environment file', () =>
  fuzz({
    name: 'env file',
    seeds: ['# comment\nexport A=1\nB="two\\nlines"\nC=\'x # y\'\nD=$A\n', 'KEY=value # comment\r\nMULTI="a\nb"\n'],
    words: ['export ', '=', '"', "'", '`', '\\', '$', '\n', '__proto__='],
    run: (input) =>
      unlessRefused(() => {
        writeFileSync(file, input);
        const spec = { ...serviceSpec(), envFiles: [file] };
        instanceEnvironment(spec, 0, { token: 't', linkPath: null }, {});
      }),
  }));
