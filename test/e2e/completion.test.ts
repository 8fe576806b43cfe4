import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';

const BIN = join(import.meta.dirname, '../../bin/gsup.js');

/** What bash offers at the end of a line. */
function offered(home: Home, line: string): readonly string[] {
  const script = `source <(gsup completion bash); COMP_LINE=$1 COMP_POINT=\${#1}; _gsup; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const shim = home.write('gsup', `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
  chmodSync(shim, 0o755);
  const env = { ...process.env, GSUP_HOME: home.path, PATH: `${home.folder}:${process.env['PATH']}` };
  const { stdout } = spawnSync('bash', ['-c', script, 'bash', line], { env, encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean);
}

test('bash completes commands, options, choices, signals and the names of services, and starts no daemon', async () => {
  await using home = new Home();
  expect(offered(home, 'gsup re')).toEqual(['restart', 'reload']);
  expect(offered(home, 'gsup stop ')).toEqual([]);
  expect(home.daemonPids()).toEqual([]);
  await home.ok(['start', '--name', 'api', '-i', '2', '--', 'sleep', '1000']);
  expect(offered(home, 'gsup stop a')).toEqual(['api', 'api:0', 'api:1', 'all']);
  // bash keeps what stands before the colon.
  expect(offered(home, 'gsup stop api:')).toEqual(['0', '1']);
  expect(offered(home, 'gsup run --kill-m')).toEqual(['--kill-mode']);
  expect(offered(home, 'gsup daemon --log-format ')).toEqual(['pretty', 'json']);
  expect(offered(home, 'gsup signal SIGUS')).toEqual(['SIGUSR1', 'SIGUSR2']);
  expect(offered(home, 'gsup signal SIGHUP api:1')).toEqual(['1']);
  expect(offered(home, 'gsup run ap')).toEqual([]);
});

test('a shell that it does not know is a wrong call', async () => {
  await using home = new Home();
  const { status, stderr } = await home.run(['completion', 'tcsh']);
  expect([status, stderr]).toEqual([2, 'gsup: no completion for "tcsh"\n  bash, zsh or fish\n']);
  for (const shell of ['bash', 'zsh', 'fish'])
    expect((await home.ok(['completion', shell])).stdout).toContain('gsup completion --ask --');
});
