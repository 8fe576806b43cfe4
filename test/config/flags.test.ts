/** Options of the command line → a service. */
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { type ServiceFlags, serviceFromFlags } from '../../src/config/flags.ts';
import { GsupError } from '../../src/core/error.ts';
import type { Program } from '../../src/core/service.ts';

const SCRIPT: Program = { kind: 'script', script: '/w/app.js', args: [], interpreter: null, interpreterArgs: [] };
const COMMAND: Program = { kind: 'command', argv: ['nginx'] };
const CONTEXT = { cwd: '/w', defaultName: 'app', defaultRestart: 'on-failure' } as const;
const from = (flags: ServiceFlags, program: Program = SCRIPT) => serviceFromFlags(flags, program, CONTEXT);

test('without options everything is default', () => {
  expect(from({})).toMatchObject({ name: 'app', cwd: '/w', instances: 1, ready: null, inheritEnv: true });
  expect(from({})).toMatchObject({ restart: { policy: 'on-failure' }, stop: { signal: null, graceMs: 10_000 } });
});

test.each<[ServiceFlags, object]>([
  [
    { name: 'web', cwd: 'sub' },
    { name: 'web', cwd: '/w/sub' },
  ],
  [{ instances: '4' }, { instances: 4 }],
  [{ instances: 'max' }, { instances: availableParallelism() }],
  [{ instances: '0' }, { instances: availableParallelism() }],
  [{ instances: '-1' }, { instances: Math.max(1, availableParallelism() - 1) }],
  [{ grace: '1m30s' }, { stop: { graceMs: 90_000 } }],
  [{ killTimeout: '3000' }, { stop: { graceMs: 3_000 } }],
  [{ grace: '1s', killTimeout: '2000' }, { stop: { graceMs: 1_000 } }],
  [{ stopSignal: 'quit' }, { stop: { signal: 'SIGQUIT' } }],
  [{ killMode: 'group' }, { stop: { killMode: 'group' } }],
  [{ treekill: false }, { stop: { killMode: 'leader' } }],
  [
    { treekill: true, autorestart: true },
    { stop: { killMode: 'mixed' }, restart: { policy: 'on-failure' } },
  ],
  [{ autorestart: false }, { restart: { policy: 'never' } }],
  [{ restart: 'always', maxRestarts: '3' }, { restart: { policy: 'always', limit: 3 } }],
  [{ restartDelay: '2000' }, { restart: { minDelayMs: 2_000, maxDelayMs: 2_000 } }],
  [{ expBackoffRestartDelay: '100' }, { restart: { minDelayMs: 100, maxDelayMs: 15_000 } }],
  [{ stopExitCodes: ['3', '4'] }, { restart: { successExitCodes: [0, 3, 4] } }],
  [{ maxMemoryRestart: '300M' }, { memoryLimitBytes: 314_572_800 }],
  [{ env: ['A=1', 'B=x=y', 'C='] }, { env: { A: '1', B: 'x=y', C: '' } }],
  [{ envFile: ['.env', '/etc/x'] }, { envFiles: ['/w/.env', '/etc/x'] }],
  [{ shutdownWithMessage: true }, { stop: { message: true } }],
  [{ waitReady: true, listenTimeout: '3000' }, { ready: { check: { kind: 'message' }, timeoutMs: 3_000 } }],
  [
    { ready: 'http://x/y', readyTimeout: '5s' },
    { ready: { check: { kind: 'http', url: 'http://x/y' }, timeoutMs: 5_000 } },
  ],
  [{ ready: 'tcp://db:5432' }, { ready: { check: { kind: 'tcp', host: 'db', port: 5432 } } }],
  [{ ready: 'exec:pg_isready -q' }, { ready: { check: { kind: 'exec', argv: ['pg_isready', '-q'] } } }],
  [{ ready: 'log:^up$' }, { ready: { check: { kind: 'log', pattern: '^up$' } } }],
  [{ ready: 'message' }, { ready: { check: { kind: 'message' } } }],
  [{ interpreter: 'bun', nodeArgs: "-r 'a b'" }, { program: { interpreter: 'bun', interpreterArgs: ['-r', 'a b'] } }],
])('%j', (flags, expected) => {
  expect(from(flags)).toMatchObject(expected);
});

test.each<[ServiceFlags, string, string?]>([
  [{ name: 'all' }, '--name "all" is no name of a service', 'use letters, digits, _ . - and not "all"'],
  [{ instances: 'many' }, '--instances "many" is no number of instances', 'expected 1 to 1000, or max'],
  [{ instances: '1001' }, '--instances "1001" is no number of instances', 'expected 1 to 1000, or max'],
  [{ grace: 'soon' }, '--grace "soon" is no duration', 'expected 500ms, 10s or 1m30s'],
  [{ killTimeout: '-1' }, '--kill-timeout "-1" is no duration', 'expected 500ms, 10s or 1m30s'],
  [{ stopSignal: 'SIGTREM' }, '--stop-signal "SIGTREM" is no signal', 'did you mean SIGTERM?'],
  [{ stopSignal: 'xyzzy' }, '--stop-signal "xyzzy" is no signal', 'expected a name like SIGTERM, TERM or 15'],
  [{ killMode: 'groop' }, '--kill-mode "groop" is unknown', 'did you mean group?'],
  [{ restart: 'sometimes' }, '--restart "sometimes" is unknown', 'expected always, on-failure, never'],
  [{ env: ['A'] }, '--env "A" is no variable', 'write NAME=value'],
  [{ maxMemoryRestart: 'big' }, '--max-memory-restart "big" is no size', 'expected 300MB or 64KiB'],
  [{ maxRestarts: 'x' }, '--max-restarts "x" is no whole number'],
  [
    { ready: 'soon' },
    '--ready: unknown check "soon"; expected http://…, https://…, tcp://host:port, exec:COMMAND, log:REGEX, message, notify or fd:N',
  ],
  [{ ready: 'log:(' }, '--ready: "(" is no regular expression'],
  [{ ready: 'tcp://db' }, '--ready: "db" is no address; expected host:port'],
  [{ ready: 'fd:2' }, '--ready: "fd:2" is no descriptor; expected fd:3 to fd:255'],
  [
    { socket: ['http=example.org:80'] },
    '--socket http=example.org:80: the address has a host name: "example.org"; write an address, such as 127.0.0.1 or *',
  ],
  [{ socket: ['3000', '3001'] }, 'two sockets have the name app', 'write --socket NAME=ADDRESS'],
  [{ readyTimeout: '3s' }, '--ready-timeout goes with --ready', 'say what to wait for'],
])('%j is a wrong call', (flags, message, hint) => {
  expect(failure(() => from(flags))).toEqual({ message, hint, exitStatus: 2 });
});

test('an interpreter of a command is a wrong call', () => {
  expect(failure(() => from({ nodeArgs: '--inspect' }, COMMAND))).toEqual({
    message: '--node-args goes with a script, not with a command',
    hint: 'write the interpreter into the command',
    exitStatus: 2,
  });
});

function failure(act: () => unknown): object {
  try {
    act();
  } catch (error) {
    if (error instanceof GsupError) {
      const { message, hint, exitStatus } = error;
      return { message, hint, exitStatus };
    }
    throw error;
  }
  return {};
}
