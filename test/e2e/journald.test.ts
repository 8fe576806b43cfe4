import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { Folder } from '../kit/gsup.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** What `gsup run` writes to a file as its stderr, which JOURNAL_STREAM names or not. */
async function recordsWith(journal: (dev: number, ino: number) => string, flags: readonly string[] = []) {
  using folder = new Folder();
  const path = join(folder.path, 'journal');
  const fd = openSync(path, 'w');
  const { dev, ino } = fstatSync(fd);
  const script = 'exit 3';
  const args = ['run', ...flags, '--restart', 'never', '--', 'sh', '-c', script];
  const child = spawn(process.env['TEST_NODE'] ?? process.execPath, [join(ROOT, 'bin/gsup.js'), ...args], {
    stdio: ['ignore', 'ignore', fd],
    env: { ...process.env, JOURNAL_STREAM: journal(dev, ino) },
  });
  closeSync(fd);
  await once(child, 'close');
  return readFileSync(path, 'utf8');
}

test("where stderr is journald's, records are sentences with their priority, without time and colour", async () => {
  const lines = (await recordsWith((dev, ino) => `${dev}:${ino}`)).trim().split('\n');
  expect(lines[0]).toMatch(/^<6>sh:0 {2}started as \d+: \S*sh -c exit 3$/);
  expect(lines.at(-1)).toBe('<3>sh:0  failed: exit 3, restart policy never');
});

test.each([
  ["another stream is journald's", (dev: number, ino: number) => `${dev}:${ino + 1}`, []],
  ['NDJSON is asked for', (dev: number, ino: number) => `${dev}:${ino}`, ['--log-format', 'json']],
])('where %s they are NDJSON', async (_, journal, flags) => {
  expect(await recordsWith(journal, flags)).toMatch(/^\{"level":30,/);
});
