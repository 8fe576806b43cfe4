// supervisord, where the system has it.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, outputOf } from '../kit/commands.mjs';
import { childrenOf } from '../kit/processes.mjs';
import { until } from '../kit/waits.mjs';

export function supervisord(scratch) {
  const version = outputOf(['supervisord', '--version'])?.trim();
  if (version === undefined) return 'not installed';
  const home = scratch.path('supervisord');
  const [main, pidFile, socket] = ['supervisord.conf', 'supervisord.pid', 's.sock'].map((name) => join(home, name));
  const environment = scratch.environment('supervisord');
  const ctl = ['supervisorctl', '-c', main];
  const run = (...argv) => command(argv, { environment, cwd: scratch.folder });
  const pid = () => Number(readFileSync(pidFile, 'utf8'));
  const begin = async () => {
    await run('supervisord', '-c', main);
    await until(() => existsSync(socket) && Number(readIfThere(pidFile)) > 0, 'supervisord answers');
  };
  const written = (sections) => {
    writeFileSync(join(home, 'services.ini'), sections.join('\n'));
    return main;
  };
  const start = () => run(...ctl, 'update');
  return {
    name: 'supervisord',
    mark: 'supervisord',
    version,
    environment,
    list: [...ctl, 'status'],
    listStatuses: [0, 3],
    formats: ['raw'],
    logFile: ({ log }) => log,
    pid,
    supervisors: () => [pid()],
    leaders: () => childrenOf(pid()),
    up: async () => {
      mkdirSync(join(home, 'logs'), { recursive: true });
      writeFileSync(main, mainFile({ home, pidFile, socket }));
      written([]);
      await begin();
    },
    file: (services) => written(services.map(programOf)),
    start,
    stop: () => run(...ctl, 'stop', 'all'),
    down: async () => {
      const known = Number(readIfThere(pidFile));
      await scratch.end('supervisord', known > 0 ? [known] : []);
    },
    web: {
      start: ({ app, port, instances, environment: env, workers = 0 }) => {
        written([socketProgram({ app, port, instances, env }), ...workerProgram(workers, env)]);
        return start();
      },
      pids: () =>
        [
          ...outputOf(['sh', '-c', `supervisorctl -c ${main} status || true`]).matchAll(/^app:.*RUNNING\s+pid (\d+)/gm),
        ].map(([, own]) => Number(own)),
      revive: async () => {
        rmSync(pidFile, { force: true });
        rmSync(socket, { force: true });
        await begin();
      },
    },
  };
}

function mainFile({ home, pidFile, socket }) {
  return `[unix_http_server]
file=${socket}
[supervisord]
logfile=${home}/log
pidfile=${pidFile}
childlogdir=${home}/logs
minfds=10000
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${socket}
[include]
files=${home}/services.ini
`;
}

function programOf({ name, argv, log, graceMs }) {
  const output = log ? `stdout_logfile=${log}\nstdout_logfile_maxbytes=0\n` : '';
  const grace = graceMs ? `stopwaitsecs=${graceMs / 1000}\n` : '';
  return `[program:${name}]\ncommand=${argv.map(quoted).join(' ')}\nautorestart=true\nstartsecs=0\n${grace}${output}`;
}

/** Its own way to share a listening socket: descriptor 0 of each. */
function socketProgram({ app, port, instances, env }) {
  return `[fcgi-program:app]
command=${process.execPath} ${app}
socket=tcp://127.0.0.1:${port}
process_name=%(process_num)s
numprocs=${instances}
autorestart=true
environment=LISTEN_FD="0",${variables(env)}
`;
}

function workerProgram(workers, env) {
  if (workers === 0) return [];
  const name = 'process_name=%(process_num)s';
  return [`[program:worker]\ncommand=sleep 100000\n${name}\nnumprocs=${workers}\nenvironment=${variables(env)}\n`];
}

function variables(env) {
  return Object.entries(env)
    .map(([key, value]) => `${key}="${value}"`)
    .join(',');
}

function quoted(word) {
  return /^[\w./:-]+$/.test(word) ? word : `'${word}'`;
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
