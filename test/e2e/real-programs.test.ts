import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Folder, fixture, freePort, Gsup } from '../kit/gsup.ts';

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(`skipped: ${program} is not installed`);
    return false;
  }
}

test.skipIf(!has('java'))('a JVM runs its shutdown hook', async () => {
  await using gsup = new Gsup(['run', '--', 'java', fixture('Shutdown.java')]);
  await gsup.said(/up/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(143); // the JVM's own exit code, passed on
  expect(gsup.output).toContain('hook ran');
});

test.skipIf(!has('python3'))('a Python server ends by itself', async () => {
  await using gsup = new Gsup(['run', fixture('server.py')]);
  await gsup.said(/listening/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toContain('ending');
});

test.skipIf(!has('nginx'))('nginx quits gracefully on SIGQUIT, its workers with it', async () => {
  const port = await freePort();
  using folder = new Folder();
  const conf = folder.write(
    'nginx.conf',
    `pid ${folder.path}/pid; error_log stderr; worker_processes 2; events {}
http { access_log off; server { listen 127.0.0.1:${port}; return 200 ok; } }`,
  );
  const options = ['--stop-signal', 'SIGQUIT', '--ready', `http://127.0.0.1:${port}/`];
  await using gsup = new Gsup(['run', ...options, '--', 'nginx', '-g', 'daemon off;', '-c', conf]);
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.phases()).not.toContain('survivors-signalled');
});

test.skipIf(!has('redis-server'))('redis saves and ends', async () => {
  const port = String(await freePort());
  using folder = new Folder();
  const options = ['--cwd', folder.path, '--ready', 'log:Ready to accept connections'];
  await using gsup = new Gsup(['run', ...options, '--', 'redis-server', '--port', port, '--bind', '127.0.0.1']);
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toContain('ready to exit, bye bye');
});
