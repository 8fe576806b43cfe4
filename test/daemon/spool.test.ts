import { closeSync, constants, openSync, readSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CHUNK_BYTES, Spool } from '../../src/daemon/spool.ts';
import { makeFifo } from '../../src/host/fifo.ts';
import { loadNative } from '../../src/host/native.ts';
import { Folder } from '../kit/gsup.ts';

const PENDING = { place: 'api:0', stream: 'stdout', at: 1, file: { size: 7, ino: 8 } } as const;
/** The layout of before: 64 KiB at once. */
const SMALLER_BYTES = 4096 + 16 * 1024 + 1 + 64 * 1024;

/** A FIFO with that in it, as a service leaves it. */
function fifoWith(path: string, bytes: Buffer): number {
  makeFifo(path);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(fd));
  expect(writeSync(fd, bytes)).toBe(bytes.length);
  return fd;
}

async function openSpool(path: string): Promise<Spool> {
  const spool = await Spool.open(path);
  if (spool === null) throw new Error('no spool without koffi');
  return spool;
}

test('what was read and is not done is found by the next daemon, with the begin of its line', async () => {
  using folder = new Folder();
  const path = join(folder.path, 'spool');
  const spool = await openSpool(path);
  const rest = Buffer.from('beg');
  const fd = fifoWith(join(folder.path, 'fifo'), Buffer.from('un\nand more\n'));
  const chunk = spool.read(fd, { ...PENDING, rest });
  expect(chunk?.toString()).toBe('un\nand more\n');
  expect((await openSpool(path)).leftover()).toEqual({ ...PENDING, rest, length: 12, chunk: Buffer.from(chunk ?? '') });
  spool.done();
  expect((await openSpool(path)).leftover()).toBeNull();
});

test('what stands in a smaller spool, of a gsup of before, is found too', async () => {
  using folder = new Folder();
  const path = join(folder.path, 'spool');
  const bytes = Buffer.alloc(60_000, 'line\n');
  const fd = fifoWith(join(folder.path, 'fifo'), bytes);
  (await openSpool(path)).read(fd, { ...PENDING, rest: Buffer.alloc(0) });
  truncateSync(path, SMALLER_BYTES);
  expect((await openSpool(path)).leftover()?.chunk.equals(bytes)).toBe(true);
});

test('takes at once what a wide FIFO holds, and leaves what is beyond a chunk', async () => {
  using folder = new Folder();
  const native = await loadNative();
  const spool = await openSpool(join(folder.path, 'spool'));
  const fd = fifoWith(join(folder.path, 'fifo'), Buffer.alloc(1));
  native?.widenPipe(fd, CHUNK_BYTES * 2);
  const bytes = Buffer.from(Array.from({ length: CHUNK_BYTES / 8 + 1 }, (_, at) => `${at}`.padStart(7)).join('\n'));
  readSync(fd, Buffer.alloc(1));
  expect(writeSync(fd, bytes)).toBe(bytes.length);
  const rest = Buffer.alloc(16_384, 'r');
  const first = Buffer.from(spool.read(fd, { ...PENDING, rest }) ?? '');
  expect(first.equals(bytes.subarray(0, CHUNK_BYTES))).toBe(true);
  const second = spool.read(fd, { ...PENDING, rest });
  expect(second?.equals(bytes.subarray(CHUNK_BYTES))).toBe(true);
  expect(spool.read(fd, { ...PENDING, rest })).toBeNull();
});
