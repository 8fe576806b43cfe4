// runit, where the system has it: runsvdir over a folder of services, sv for all of them.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, hasProgram, outputOf } from '../kit/commands.mjs';
import { childrenOf, programOf } from '../kit/processes.mjs';
import { until } from '../kit/waits.mjs';

export function runit(scratch) {
  if (!hasProgram('runsvdir') || !hasProgram('sv')) return 'not installed';
  const home = scratch.path('runit');
  const folder = join(home, 'services');
  const environment = scratch.environment('runit');
  const sv = (text) => command(['sh', '-c', text, folder], { environment, cwd: scratch.folder });
  let root = null;
  let laid = [];
  const runs = () => childrenOf(root).filter((pid) => programOf(pid) === 'runsv');
  const begin = () => {
    root = spawn('runsvdir', [folder], { stdio: 'ignore', detached: true, env: environment }).pid;
  };
  return {
    name: 'runit',
    mark: 'runit',
    version: (outputOf(['dpkg-query', '-W', '-f', '$' + '{Version}', 'runit']) ?? '').split('-')[0],
    environment,
    list: ['sh', '-c', 'sv status "$0"/*', folder],
    listStatuses: [0],
    formats: [],
    pid: () => root,
    supervisors: () => [root, ...runs()],
    leaders: () => runs().flatMap(childrenOf),
    up: async () => {
      mkdirSync(folder, { recursive: true });
      laid = [];
      begin();
    },
    /** runsvdir looks every 5 s for new ones: they are there beforehand, down, and the command brings them up. */
    file: (services) => {
      // Before it can see some of them: their runsv would be nobody's.
      process.kill(root, 'SIGKILL');
      for (const { name, argv } of services) {
        mkdirSync(join(folder, name), { recursive: true });
        writeFileSync(join(folder, name, 'run'), `#!/bin/sh\nexec ${argv.map(quoted).join(' ')}\n`, { mode: 0o755 });
        writeFileSync(join(folder, name, 'down'), '');
      }
      laid = services.map(({ name, graceMs }) => ({ name, graceMs }));
      return folder;
    },
    /** What is no part of the command: a new one sees them at once. */
    prepare: async () => {
      begin();
      const isThere = ({ name }) => existsSync(join(folder, name, 'supervise/ok'));
      await until(() => laid.every(isThere), 'runsv stands for each service');
    },
    start: () => sv('sv -w 60 start "$0"/* >/dev/null'),
    stop: () => sv('sv -w 60 stop "$0"/* >/dev/null'),
    stopStubborn: () => sv(`sv -w ${Math.ceil(laid[0].graceMs / 1000)} force-stop "$0"/* >/dev/null || true`),
    down: async () => {
      await scratch.end('runit', root === null ? [] : [root]);
      root = null;
    },
  };
}

function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
