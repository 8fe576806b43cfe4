// gsup: its daemon, and `gsup run`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, outputOf } from '../kit/commands.mjs';
import { childrenOf, isAlive } from '../kit/processes.mjs';
import { GSUP, ROOT } from '../kit/programs.mjs';

const VERSION = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;
const LOGS = { raw: { format: 'raw', maxSize: '100GB' }, CRI: { format: 'cri', maxSize: '100GB' } };

export function gsup(scratch) {
  const home = scratch.path('gsup');
  const environment = scratch.environment('gsup', { GSUP_HOME: home });
  const run = (...args) => command([process.execPath, GSUP, ...args], { environment, cwd: scratch.folder });
  const asked = (...args) => JSON.parse(outputOf([process.execPath, GSUP, ...args, '--json'], environment));
  let known = null;
  const pid = () => {
    if (known === null || !isAlive(known)) known = asked('ping').pid;
    return known;
  };
  const written = (services) => scratch.write('gsup.yaml', JSON.stringify({ services }));
  return {
    name: 'gsup',
    mark: 'gsup',
    version: VERSION,
    environment,
    list: [process.execPath, GSUP, 'ls'],
    listStatuses: [0],
    formats: ['raw', 'CRI'],
    logFile: ({ name }) => join(home, 'logs', `${name}:0.log`),
    pid,
    supervisors: () => [pid()],
    leaders: () => childrenOf(pid()),
    up: () => run('ls'),
    file: (services) => written(Object.fromEntries(services.map((service) => [service.name, specOf(service)]))),
    start: (file) => run('start', file),
    stop: () => run('stop', 'all'),
    /** What was killed after its grace makes the command say so. */
    stopStubborn: () =>
      command([process.execPath, GSUP, 'stop', 'all'], { environment, cwd: scratch.folder, statuses: [0, 1] }),
    down: async () => {
      await scratch.end('gsup', known === null ? [] : [known]);
      known = null;
    },
    web: {
      start: ({ app, port, instances, environment: env, workers = 0 }) =>
        run(
          'start',
          written({
            app: {
              script: app,
              instances,
              env: { ...env, PORT: String(port) },
              sockets: { http: `127.0.0.1:${port}` },
              ready: { message: true },
              // The peers have no such gate.
              rolling: { minReady: '0s' },
              restart: { minDelay: '0s' },
            },
            ...(workers > 0 ? { worker: { command: ['sleep', '100000'], instances: workers, env } } : {}),
          }),
        ),
      pids: () =>
        asked('ls')
          .filter(({ service, state, spare }) => service === 'app' && state === 'running' && !spare)
          .map(({ pid: own }) => own),
      reload: () => run('reload', 'app'),
      revive: () => run('ls'),
    },
  };
}

function specOf({ argv, isAtOnce, graceMs, format }) {
  return {
    command: argv,
    ...(isAtOnce ? { restart: { minDelay: '0s', limit: 1_000_000 } } : {}),
    ...(graceMs ? { stop: { grace: `${graceMs}ms` } } : {}),
    ...(format ? { logs: LOGS[format] } : {}),
  };
}

export function gsupRun(scratch) {
  const environment = scratch.environment('gsup-run', { GSUP_HOME: scratch.path('gsup-run') });
  const argv = [process.execPath, GSUP, 'run', '--'];
  return { name: 'gsup', mark: 'gsup-run', version: VERSION, environment, argvOf: (words) => [...argv, ...words] };
}
