import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { fixture } from '../kit/gsup.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/containers.md'), 'utf8');
const dockerfile = /```dockerfile\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

/** The value of an instruction of the Dockerfile in the documentation. */
function instruction(name: string): string {
  return new RegExp(`^${name} (.*)$`, 'm').exec(dockerfile)?.[1] ?? '';
}

test('the Dockerfile of the documentation: gsup is the entrypoint itself, without a shell', () => {
  const entrypoint: string[] = JSON.parse(instruction('ENTRYPOINT'));
  expect(entrypoint.slice(0, 2)).toEqual(['gsup', 'run']);
  expect(entrypoint.at(-1)).toBe('--');
  expect(JSON.parse(instruction('CMD'))).toEqual(['node', 'server.js']);
});

test.skipIf(process.getuid?.() !== 0)('as PID 1, its stop signal ends it cleanly', async () => {
  const [, ...args]: string[] = JSON.parse(instruction('ENTRYPOINT'));
  const node = process.env['TEST_NODE'] ?? process.execPath;
  const gsup = [node, join(ROOT, 'bin/gsup.js'), ...args, node, fixture('http-server.mjs')];
  const child: ChildProcess = spawn('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', ...gsup], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PORT: '0' },
    timeout: 30_000,
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  if (child.stdout !== null) await once(child.stdout, 'data');
  // Of the namespace's PID 1: the only child of unshare.
  const pid1 = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').trim());
  process.kill(pid1, instruction('STOPSIGNAL') as NodeJS.Signals);
  const [status] = await once(child, 'close');
  expect(stderr).toContain('stop budget: app 23s < grace 25s < outer 30s ✓');
  expect(stderr).toContain('"verdict":"clean"');
  expect(status).toBe(0);
});
