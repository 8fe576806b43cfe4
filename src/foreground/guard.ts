/** What clears a spare away when the drill itself is killed: a shell that waits for the end of a pipe from us. */
import { spawn } from 'node:child_process';

/** $1: the leader of a group; the others: folders of ours, removed with their files and never more than that. */
const SCRIPT =
  'read -r word; test "$word" = done || { kill -s KILL -- "-$1"; shift; for it; do rm -f -- "$it"/*; rmdir -- "$it"; done; }';

/** Watches over the group of `pid` and `folders` until the result is called. */
export function guard(pid: number, folders: readonly string[]): () => void {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'gsup-drill-guard', String(pid), ...folders], {
    cwd: '/',
    env: {},
    // The signals of a terminal are for the drill.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a guard there is still all that the drill does itself.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  return () => void child.stdin.end('done\n');
}
