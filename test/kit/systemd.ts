/** Scripts beside a real `systemd --user` of their own: test/kit/systemd-user.sh. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Folder } from './gsup.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CEILING_MS = 50_000;

/** Why no systemd can be run here; `null` when one can. */
export function withoutSystemd(): string | null {
  if (!existsSync('/lib/systemd/systemd')) return 'systemd is not installed';
  return process.getuid?.() === 0 ? null : 'not root';
}

/** What a script has: `gsup` is the built one, `NODE` and `ROOT` are paths, `unit NAME` takes a unit's text on stdin. */
const PRELUDE = `
set -u
units=$XDG_CONFIG_HOME/systemd/user
unit() { cat >"$units/$1"; systemctl --user daemon-reload; }
gsup() { "$NODE" "$ROOT/bin/gsup.js" "$@"; }
show() { systemctl --user show "$1" -p "$2" --value; }
# until NAME PROPERTY VALUE: waits until a property has this value.
until_is() {
  for _ in $(seq 400); do
    case $(show "$1" "$2") in $3) return 0 ;; esac
    sleep 0.05
  done
  echo "$1 $2 is $(show "$1" "$2"), not $3"
  systemctl --user status "$1" --no-pager
  exit 1
}
`;

/** Runs a bash script; its stdout and stderr together, and its exit status. */
export async function inSystemd(
  script: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly output: string; readonly status: number | null }> {
  using folder = new Folder({ 'script.sh': PRELUDE + script });
  const node = process.env['TEST_NODE'] ?? process.execPath;
  const child = spawn(join(ROOT, 'test/kit/systemd-user.sh'), ['bash', join(folder.path, 'script.sh')], {
    env: { ...process.env, ...env, NODE: node, ROOT, GSUP_HOME: join(folder.path, 'home'), FOLDER: folder.path },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: CEILING_MS,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { output, status };
}
