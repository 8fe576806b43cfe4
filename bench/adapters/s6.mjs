// s6, where the system has it: s6-svscan over a folder of services, s6-svc for each.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, hasProgram, outputOf } from '../kit/commands.mjs';
import { childrenOf, programOf } from '../kit/processes.mjs';
import { until } from '../kit/waits.mjs';

export function s6(scratch) {
  if (!hasProgram('s6-svscan') || !hasProgram('s6-svc')) return 'not installed';
  const home = scratch.path('s6');
  const [scan, staged] = [join(home, 'scan'), join(home, 'staged')];
  const environment = scratch.environment('s6');
  const run = (text) => command(['sh', '-c', text, scan], { environment, cwd: scratch.folder });
  let root = null;
  const supervises = () => childrenOf(root).filter((pid) => programOf(pid) === 's6-supervise');
  return {
    name: 's6',
    mark: 's6',
    version: (outputOf(['dpkg-query', '-W', '-f', '$' + '{Version}', 's6']) ?? '').split('-')[0],
    environment,
    list: ['sh', '-c', 'for d in "$0"/*; do echo "$d"; s6-svstat "$d"; done', scan],
    listStatuses: [0],
    formats: [],
    pid: () => root,
    supervisors: () => [root, ...supervises()],
    leaders: () => supervises().flatMap(childrenOf),
    up: async () => {
      mkdirSync(scan, { recursive: true });
      mkdirSync(staged);
      const argv = ['-c', '2000', scan];
      const child = spawn('s6-svscan', argv, { stdio: 'ignore', detached: true, env: environment });
      root = child.pid;
      await until(() => readdirSync(scan).includes('.s6-svscan'), 's6-svscan has its control folder');
    },
    /** Laid out beforehand: the command moves them in and tells s6-svscan. */
    file: (services) => {
      for (const { name, argv, graceMs } of services) {
        const folder = join(staged, name);
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, 'run'), `#!/bin/sh\nexec ${argv.map(quoted).join(' ')}\n`, { mode: 0o755 });
        if (graceMs) writeFileSync(join(folder, 'timeout-kill'), `${graceMs}\n`);
      }
      return staged;
    },
    start: (from) => {
      for (const name of readdirSync(from)) renameSync(join(from, name), join(scan, name));
      return run('s6-svscanctl -a "$0"');
    },
    stop: () => run('for d in "$0"/*; do s6-svc -d "$d" || exit 1; done; s6-svwait -D "$0"/*'),
    down: async () => {
      await scratch.end('s6', root === null ? [] : [root]);
      root = null;
    },
  };
}

function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
