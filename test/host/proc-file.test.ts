import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { listProc, readProcFile, readProcRecord } from '../../src/host/proc-file.ts';
import { Folder } from '../kit/gsup.ts';

test('what is longer than the buffer is read whole, and the next one without what was in it', () => {
  using folder = new Folder({});
  const long = `${'0123456789'.repeat(30_000)}end`;
  writeFileSync(`${folder.path}/long`, long);
  writeFileSync(`${folder.path}/short`, 'grün\n');
  for (const read of [readProcFile, readProcRecord]) {
    expect(read(`${folder.path}/long`)).toBe(long);
    expect(read(`${folder.path}/short`)).toBe(readFileSync(`${folder.path}/short`, 'latin1'));
  }
  expect(readProcFile(`${folder.path}/short`, 'utf8')).toBe('grün\n');
});

test('what is not there throws as any file does', () => {
  expect(() => readProcFile('/proc/0/stat')).toThrow(/^ENOENT/);
});

test('with all descriptors taken it still reads: what can not be looked at would count as gone', () => {
  readProcFile('/proc/self/stat');
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('EMFILE');
  }
  try {
    for (let round = 0; round < 3; round++) {
      expect(readProcRecord('/proc/self/stat')).toMatch(new RegExp(`^${process.pid} `));
      expect(listProc()).toContain(String(process.pid));
    }
  } finally {
    for (const fd of taken) closeSync(fd);
  }
});
