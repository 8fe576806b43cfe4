import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import { homeOf } from '../../src/api/home.ts';
import { findHolder, takeLock } from '../../src/daemon/lock.ts';
import { Folder } from '../kit/gsup.ts';

test('without a daemon there is no holder; with one it is ready when it says so, and silent while it ends', async () => {
  using folder = new Folder();
  const home = homeOf({ GSUP_HOME: folder.path });
  expect(await findHolder(home)).toBe(null);
  const lock = await takeLock(home);
  const early = await findHolder(home);
  expect(await early?.answer(20)).toBe('silent');
  lock?.ready();
  expect(await early?.answer(5_000)).toBe('ready');
  expect(await takeLock(home)).toBe(null);
  lock?.ending();
  const late = await findHolder(home);
  expect(await late?.answer(20)).toBe('silent');
  // It lives: nothing reports its end.
  expect(await late?.gone(20)).toBe(false);
  for (const holder of [early, late]) holder?.release();
  lock?.release();
  expect(await findHolder(home)).toBe(null);
});

test('the end of a holder is seen by those who wait for it, and its number stays', async () => {
  using folder = new Folder();
  const home = homeOf({ GSUP_HOME: folder.path });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})));
  // Node removes what it has bound when it closes it; the kernel does not.
  await new Promise<void>((bound) => server.listen(join(folder.path, 'bound'), bound));
  linkSync(join(folder.path, 'bound'), join(folder.path, 'lock.41'));
  const holder = await findHolder(home);
  const gone = holder?.gone(10_000);
  const taken = takeLock(home);
  // Both have connected: it ends as a process does, with all that it has open.
  while (sockets.size < 2) await once(server, 'connection');
  server.close();
  for (const socket of sockets) socket.destroy();
  expect(await gone).toBe(true);
  const lock = await taken;
  expect(lock).not.toBe(null);
  expect(readdirSync(folder.path)).toEqual(['lock.42']);
  lock?.release();
});

/** Takes the lock again and again in new lives, each of which ends by kill -9 while it holds it. */
const CONTENDER = `
const { closeSync, openSync, unlinkSync, appendFileSync } = require('node:fs');
const { takeLock } = require('./lock.cjs');
const [folder, held, log] = process.argv.slice(2);
takeLock({ folder }).then(() => {
  try { closeSync(openSync(held, 'wx')); } catch { appendFileSync(log, 'two holders\\n'); process.exit(1); }
  setTimeout(() => { appendFileSync(log, 'held\\n'); unlinkSync(held); process.kill(process.pid, 'SIGKILL'); }, 2);
}, (error) => { appendFileSync(log, error.message + '\\n'); process.exit(1); });
`;

test('eight processes that take the lock from one another by kill -9, forty times: never two hold it', async () => {
  using folder = new Folder();
  const home = join(folder.path, 'home');
  mkdirSync(home, { mode: 0o700 });
  buildSync({
    entryPoints: ['src/daemon/lock.ts'],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile: join(folder.path, 'lock.cjs'),
  });
  writeFileSync(join(folder.path, 'contender.cjs'), CONTENDER);
  const log = folder.write('log', '');
  let lives = 40;
  const contend = async (): Promise<void> => {
    while (lives > 0) {
      lives -= 1;
      const args = [join(folder.path, 'contender.cjs'), home, join(folder.path, 'held'), log];
      await once(spawn(process.execPath, args, { stdio: 'ignore', env: {} }), 'exit');
    }
  };
  await Promise.all(Array.from({ length: 8 }, contend));
  expect(readFileSync(log, 'utf8')).toBe('held\n'.repeat(40));
  expect(readdirSync(home)).toEqual(['lock.40']);
});
