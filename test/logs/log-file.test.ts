import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest';
import { DEFAULT_LOGS, type LogPolicy } from '../../src/core/service.ts';
import { LogFile } from '../../src/logs/log-file.ts';
import { Folder } from '../kit/gsup.ts';

const POLICY: LogPolicy = { ...DEFAULT_LOGS, maxSizeBytes: 10, maxFiles: 3 };

/** A log file in a folder of its own, with a clock that is set by hand. */
class World implements Disposable {
  readonly folder = new Folder();
  readonly path: string;
  readonly file: LogFile;
  now = Date.now();

  constructor(policy: Partial<LogPolicy> = {}, path?: string) {
    this.path = path ?? join(this.folder.path, 'api.log');
    this.file = this.another(policy);
  }

  /** What another process, or this one after a crash, would have. */
  another(policy: Partial<LogPolicy> = {}): LogFile {
    return new LogFile({ path: this.path, policy: { ...POLICY, ...policy }, now: () => this.now });
  }

  /** Writes each text as one write, and rotates in between when that is due. */
  write(...texts: readonly (string | Buffer)[]): void {
    for (const text of texts) {
      this.file.rotateIfDue();
      this.file.write(Buffer.from(text));
    }
  }

  /** The parts with what is in them, oldest first. */
  get parts(): Readonly<Record<string, string>> {
    const read = (file: string) => (file.endsWith('.gz') ? gunzipSync(readFileSync(file)) : readFileSync(file));
    return Object.fromEntries(this.file.files().map((file) => [basename(file), read(file).toString('latin1')]));
  }

  [Symbol.dispose](): void {
    this.file.close();
    this.folder[Symbol.dispose]();
  }
}

describe('writing', () => {
  test('appends at once, to a file that only its owner reads', () => {
    using world = new World();
    expect(existsSync(world.path)).toBe(false);
    world.write('a\n', 'b\n');
    expect(readFileSync(world.path, 'utf8')).toBe('a\nb\n');
    expect(statSync(world.path).mode & 0o777).toBe(0o600);
    expect(world.file.position()).toEqual({ size: 4, ino: statSync(world.path).ino });
  });

  test('goes on where the run before ended', () => {
    using world = new World();
    world.write('a\n');
    world.file.close();
    world.file.write(Buffer.from('b\n'));
    expect(world.parts).toEqual({ 'api.log': 'a\nb\n' });
  });

  test('a torn end can be cut off', () => {
    using world = new World();
    world.write('whole\ntorn');
    expect([world.file.truncateTo(6), world.file.truncateTo(100)]).toEqual([true, true]);
    world.write('next\n');
    expect(world.parts).toEqual({ 'api.log': 'whole\nnext\n' });
  });

  test('without a folder drops, says why, and tells the loss once when it works again', () => {
    using world = new World();
    const file = new LogFile({ path: join(world.folder.path, 'sub/a.log'), policy: POLICY, now: () => 0 });
    file.write(Buffer.from('12345'));
    file.write(Buffer.from('678'));
    expect([file.isFailing, file.takeDropped(), file.position()]).toEqual(['ENOENT', null, { size: 0, ino: 0 }]);
    expect([file.rotateIfDue(), file.truncateTo(0), file.files()]).toEqual([false, false, []]);
    mkdirSync(join(world.folder.path, 'sub'));
    file.write(Buffer.from('9'));
    expect([file.isFailing, file.takeDropped(), file.takeDropped()]).toEqual([
      null,
      { bytes: 8, error: 'ENOENT' },
      null,
    ]);
    file.close();
  });

  test('onto a full disk leaves the file as it was, and goes on when there is room', (context) => {
    using world = new World({ maxSizeBytes: 1_000_000 }, join(tinyDisk(context), 'api.log'));
    const block = Buffer.alloc(20_000, 'x');
    world.write(block, block, block, block, block);
    expect(world.file.isFailing).toBe('ENOSPC');
    expect([world.file.takeDropped(), statSync(world.path).size]).toEqual([null, 60_000]);
    world.file.truncateTo(0);
    world.write('again\n');
    expect([world.file.isFailing, world.file.takeDropped()]).toEqual([null, { bytes: 40_000, error: 'ENOSPC' }]);
    expect(world.parts).toEqual({ 'api.log': 'again\n' });
  });

  test('into a deleted file is harmless, and the next rotation begins a new one', () => {
    using world = new World();
    world.write('0123456789');
    unlinkSync(world.path);
    world.file.write(Buffer.from('lost'));
    expect([world.file.isFailing, world.parts]).toEqual([null, {}]);
    world.write('new');
    expect(world.parts).toEqual({ 'api.log': 'new' });
  });

  test('follows an outside rotation when it is told', () => {
    using world = new World();
    world.write('old');
    renameSync(world.path, `${world.path}.moved`);
    world.write('late');
    world.file.reopen();
    world.write('new');
    expect([readFileSync(`${world.path}.moved`, 'utf8'), world.parts]).toEqual(['oldlate', { 'api.log': 'new' }]);
  });

  test('what something else has put at PATH is not rotated away', () => {
    using world = new World();
    world.write('0123456789');
    renameSync(world.path, `${world.path}.moved`);
    world.folder.write('api.log', 'foreign;');
    world.write('own');
    expect(world.parts).toEqual({ 'api.log': 'foreign;own' });
  });
});

describe('rotation', () => {
  test('happens at the full size, never within a write, and keeps so many files', () => {
    using world = new World();
    world.write('first write that is long', 'second', 'fill', 'third, long', 'fourth');
    expect(world.parts).toEqual({ 'api.log.2': 'secondfill', 'api.log.1': 'third, long', 'api.log': 'fourth' });
    world.write('fill', 'fifth');
    expect(world.parts).toEqual({ 'api.log.2': 'third, long', 'api.log.1': 'fourthfill', 'api.log': 'fifth' });
  });

  test('with one file begins it anew, as another inode', () => {
    using world = new World({ maxFiles: 1 });
    world.write('0123456789', 'a');
    expect(world.parts).toEqual({ 'api.log': 'a' });
  });

  test('is due when the first byte is too old, also after a restart', () => {
    using world = new World({ maxSizeBytes: 1_000, maxAgeMs: 60_000 });
    world.write('a');
    world.now += 59_000;
    world.write('b');
    expect(world.parts).toEqual({ 'api.log': 'ab' });
    world.file.close();
    world.now += 2_000;
    world.write('c');
    expect(world.parts).toEqual({ 'api.log.1': 'ab', 'api.log': 'c' });
    world.now += 10_000;
    world.write('d');
    expect(world.parts).toEqual({ 'api.log.1': 'ab', 'api.log': 'cd' });
  });

  test('never begins a file anew that is empty', () => {
    using world = new World({ maxSizeBytes: 0, maxAgeMs: 0 });
    expect([world.file.rotateIfDue(), world.file.position().size, world.file.rotateIfDue()]).toEqual([false, 0, false]);
  });

  test('removes what is too old and what is beyond the limit', () => {
    using world = new World({ maxAgeMs: 60_000 });
    for (const index of [1, 2, 7]) world.folder.write(`api.log.${index}`, `${index}`);
    world.folder.write('api.log.old', 'not ours');
    world.folder.write('api.log.01', 'not ours');
    const old = new Date(world.now - 61_000);
    utimesSync(`${world.path}.1`, old, old);
    world.write('0123456789', 'a');
    expect(world.parts).toEqual({ 'api.log.1': '0123456789', 'api.log': 'a' });
    expect(readdirSync(world.folder.path).sort()).toEqual(['api.log', 'api.log.01', 'api.log.1', 'api.log.old']);
  });

  test('that fails loses nothing: the file grows on, and the reason is known', () => {
    using world = new World();
    mkdirSync(`${world.path}.2`);
    world.write('0123456789', 'a');
    expect([world.file.rotationError !== null, world.file.isFailing]).toEqual([true, null]);
    expect(readFileSync(world.path, 'utf8')).toBe('0123456789a');
    rmSync(`${world.path}.2`, { recursive: true });
    world.write('b');
    expect([world.file.rotationError, world.parts]).toEqual([null, { 'api.log.1': '0123456789a', 'api.log': 'b' }]);
  });

  test('of a removed file leaves nothing', () => {
    using world = new World();
    world.write('0123456789', '0123456789', 'a');
    world.folder.write('api.log.gz-partial', '');
    world.file.remove();
    expect(readdirSync(world.folder.path)).toEqual([]);
  });
});

describe('gzip', () => {
  const noise = (): Buffer => randomBytes(2_000_000);

  test('replaces the rotated file by a whole one with its time', async () => {
    using world = new World({ compress: true });
    world.write('0123456789');
    const { mtimeMs } = statSync(world.path);
    world.write('a');
    expect(world.parts).toEqual({ 'api.log.1': '0123456789', 'api.log': 'a' });
    await world.file.compressed();
    expect(world.parts).toEqual({ 'api.log.1.gz': '0123456789', 'api.log': 'a' });
    expect(statSync(`${world.path}.1.gz`)).toMatchObject({ mtimeMs: expect.closeTo(mtimeMs, -1) });
    expect(statSync(`${world.path}.1.gz`).mode & 0o777).toBe(0o600);
  });

  test('that is overtaken by rotations gives every file its own place', async () => {
    using world = new World({ compress: true, maxFiles: 5 });
    const [a, b, c] = [noise(), noise(), noise()];
    world.write(a, b, c, 'd');
    expect(Object.keys(world.parts)).toEqual(['api.log.3', 'api.log.2', 'api.log.1', 'api.log']);
    await world.file.compressed();
    expect(Object.keys(world.parts)).toEqual(['api.log.3.gz', 'api.log.2.gz', 'api.log.1.gz', 'api.log']);
    expect(Object.values(world.parts)).toEqual([...[a, b, c].map((bytes) => bytes.toString('latin1')), 'd']);
    expect(readdirSync(world.folder.path)).toHaveLength(4);
  });

  test('of a file that rotation has removed meanwhile leaves nothing', async () => {
    using world = new World({ compress: true, maxFiles: 2 });
    const [a, b] = [noise(), noise()];
    world.write(a, b, 'c');
    await world.file.compressed();
    expect(world.parts).toEqual({ 'api.log.1.gz': b.toString('latin1'), 'api.log': 'c' });
    expect(readdirSync(world.folder.path)).toHaveLength(2);
  });

  test('that is given up at the end leaves the original, and the next rotation makes up for it', async () => {
    using world = new World({ compress: true, maxFiles: 5 });
    const a = noise();
    world.write(a, 'b');
    world.file.close();
    await world.file.compressed();
    expect(Object.keys(world.parts)).toEqual(['api.log.1', 'api.log']);
    expect(readdirSync(world.folder.path)).toHaveLength(2);
    world.write('0123456789', 'c');
    await world.file.compressed();
    expect(world.parts).toEqual({
      'api.log.2.gz': a.toString('latin1'),
      'api.log.1.gz': 'b0123456789',
      'api.log': 'c',
    });
  });

  test('cut short by a crash is mended by the next rotation', async () => {
    using world = new World({ compress: true, maxFiles: 5 });
    world.folder.write('api.log.gz-partial', gzipSync('half').subarray(0, 10));
    world.folder.write('api.log.2', 'done');
    world.folder.write('api.log.2.gz', gzipSync('done'));
    world.folder.write('api.log.1', 'not done');
    expect(world.parts).toEqual({ 'api.log.2.gz': 'done', 'api.log.1': 'not done' });
    world.write('0123456789', 'a');
    await world.file.compressed();
    expect(world.parts).toEqual({
      'api.log.3.gz': 'done',
      'api.log.2.gz': 'not done',
      'api.log.1.gz': '0123456789',
      'api.log': 'a',
    });
    expect(readdirSync(world.folder.path)).toHaveLength(4);
  });

  test('without room keeps the original and its place is clean', async (context) => {
    using world = new World({ compress: true }, join(tinyDisk(context), 'api.log'));
    world.write(randomBytes(40_000), 'a');
    await world.file.compressed();
    expect(world.file.rotationError).toBe('ENOSPC');
    expect(world.file.files().map((file) => basename(file))).toEqual(['api.log.1', 'api.log']);
    expect(existsSync(`${world.path}.gz-partial`)).toBe(false);
  });
});

/** A disk of 64 KiB, gone after the test. */
function tinyDisk(context: TestContext): string {
  const folder = new Folder();
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder.path], { stdio: 'pipe' });
  } catch (error) {
    folder[Symbol.dispose]();
    context.skip(`cannot mount a tmpfs: ${error instanceof Error ? error.message : error}`);
  }
  onTestFinished(() => {
    execFileSync('/bin/umount', ['-l', folder.path]);
    folder[Symbol.dispose]();
  });
  return folder.path;
}
