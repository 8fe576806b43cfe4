// PM2 7, installed by npm for the bench alone: its daemon, and pm2-runtime.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, outputOf, whereIs } from '../kit/commands.mjs';
import { installed, versionOf } from '../kit/npm.mjs';
import { childrenOf } from '../kit/processes.mjs';

export function pm2(scratch) {
  const prefix = installed(scratch, 'pm2', ['pm2@7']);
  if (prefix === null) return 'npm can not install it';
  const script = join(prefix, 'node_modules/pm2/bin/pm2');
  const home = scratch.path('pm2');
  const environment = scratch.environment('pm2', { PM2_HOME: home, PM2_DISCRETE_MODE: 'true' });
  const run = (...args) => command([process.execPath, script, ...args], { environment, cwd: scratch.folder });
  const pid = () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8'));
  const written = (apps) => scratch.write('pm2.json', JSON.stringify({ apps }));
  return {
    name: 'PM2',
    mark: 'pm2',
    version: versionOf(prefix, 'pm2'),
    environment,
    list: [process.execPath, script, 'ls'],
    listStatuses: [0],
    formats: ['raw'],
    logFile: ({ log }) => log,
    pid,
    supervisors: () => [pid()],
    leaders: () => childrenOf(pid()),
    up: () => run('ping'),
    file: (services) => written(services.map(appOf)),
    start: (file) => run('start', file),
    stop: () => run('stop', 'all'),
    down: async () => {
      await scratch.end('pm2', knownPids(pid));
    },
    web: {
      start: async ({ app, port, instances, environment: env, workers = 0 }) => {
        await run('start', written([clusterOf({ app, port, instances, env }), ...workersOf(workers, env)]));
        await run('save');
      },
      pids: () =>
        JSON.parse(outputOf([process.execPath, script, 'jlist'], environment))
          .filter(({ name, pm2_env: { status } }) => name === 'app' && status === 'online')
          .map(({ pid: own }) => own),
      reload: () => run('reload', 'app'),
      revive: () => run('resurrect'),
    },
  };
}

function appOf({ name, argv: [file, ...args], log, isAtOnce, graceMs }) {
  return {
    name,
    script: file.includes('/') ? file : whereIs(file),
    args,
    interpreter: 'none',
    ...(log ? { out_file: log } : {}),
    ...(graceMs ? { kill_timeout: graceMs } : {}),
    ...(isAtOnce ? { min_uptime: 100, max_restarts: 1_000_000 } : {}),
  };
}

function clusterOf({ app, port, instances, env }) {
  return {
    name: 'app',
    script: app,
    instances,
    exec_mode: 'cluster',
    env: { ...env, PORT: String(port) },
    wait_ready: true,
    listen_timeout: 10_000,
    kill_timeout: 10_000,
  };
}

function workersOf(instances, env) {
  if (instances === 0) return [];
  return [{ name: 'worker', script: whereIs('sleep'), args: ['100000'], interpreter: 'none', instances, env }];
}

function knownPids(pid) {
  try {
    return [pid()];
  } catch {
    return [];
  }
}

export function pm2Runtime(scratch) {
  const prefix = installed(scratch, 'pm2', ['pm2@7']);
  if (prefix === null) return 'npm can not install it';
  const script = join(prefix, 'node_modules/pm2/bin/pm2-runtime');
  const home = scratch.path('pm2-runtime');
  const environment = scratch.environment('pm2-runtime', { PM2_HOME: home, PM2_DISCRETE_MODE: 'true' });
  return {
    name: 'pm2-runtime',
    mark: 'pm2-runtime',
    version: versionOf(prefix, 'pm2'),
    environment,
    /** What it exits with when nothing is online any more. */
    overStatuses: [0, 2],
    argvOf: ([file, ...args]) => [
      ...[process.execPath, script, 'start', file.includes('/') ? file : whereIs(file)],
      ...['--interpreter', 'none', '--no-autorestart', '--', ...args],
    ],
  };
}
