import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FOLDER = join(import.meta.dirname, '../../src/cli');
/** The writer itself, and a whole screen that is drawn. */
const ALLOWED = ['crash.ts', 'print.ts', 'top/screen.ts'];

test('commands print by way of print.ts alone, so that none can forget what a terminal must not get', () => {
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const writing = files.filter((file) =>
    /std(out|err)\.write\(|console\./.test(readFileSync(join(FOLDER, file), 'utf8')),
  );
  expect(writing.filter((file) => !ALLOWED.includes(file))).toEqual([]);
});
