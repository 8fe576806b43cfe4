import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { onSchedule } from '../../src/supervisor/schedule.ts';
import { onChange } from '../../src/supervisor/watch.ts';
import { Folder } from '../kit/gsup.ts';

afterEach(() => void vi.useRealTimers());

test('a moment that was slept through comes once, when the machine wakes', () => {
  vi.useFakeTimers({ now: new Date(2026, 0, 1, 2, 59, 30) });
  let count = 0;
  const end = onSchedule('0 3 * * *', () => count++);
  vi.advanceTimersByTime(29_000);
  expect(count).toBe(0);
  vi.advanceTimersByTime(1_000);
  expect(count).toBe(1);
  // Two days pass without a timer: what was missed is made up for once.
  vi.setSystemTime(new Date(2026, 0, 3, 12));
  vi.advanceTimersByTime(60_000);
  expect(count).toBe(2);
  end();
  vi.setSystemTime(new Date(2026, 0, 5));
  vi.advanceTimersByTime(120_000);
  expect(count).toBe(2);
});

test.each([
  ['every 5 seconds', '*/5 * * * * *', 17_000, 3],
  ['every night', '0 3 * * *', 15 * 3_600_000, 1],
])('a schedule of %s goes on when the clock is set back', (_, expression, ms, expected) => {
  vi.useFakeTimers({ now: new Date(2026, 0, 1, 23, 0, 1) });
  let count = 0;
  const end = onSchedule(expression, () => count++);
  vi.advanceTimersByTime(6_000);
  count = 0;
  vi.setSystemTime(new Date(2026, 0, 1, 13, 0, 1));
  vi.advanceTimersByTime(ms);
  expect(count).toBe(expected);
  end();
});

test('what is ignored by name, path or glob is no change, what is watched is one after it has settled', async () => {
  using folder = new Folder();
  for (const name of ['src', 'src/node_modules', 'logs', 'tmp', 'maps']) mkdirSync(join(folder.path, name));
  const told: string[] = [];
  let wake = () => {};
  const end = onChange({
    policy: { paths: [folder.path], ignore: ['logs', './tmp', 'maps/*.map'], debounceMs: 20 },
    folder: folder.path,
    isForeign: false,
    clock: {
      now: () => 0,
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
    },
    changed: (file) => {
      told.push(file);
      wake();
    },
    problem: (text) => told.push(text),
  });
  const heard = () => new Promise<void>((resolve) => (wake = resolve));
  // A change of something watched tells that the watcher stands.
  const first = heard();
  const beat = setInterval(() => writeFileSync(join(folder.path, 'src/a.js'), String(Math.random())), 100);
  await first;
  clearInterval(beat);
  told.length = 0;
  // Each right behind a change: were it one too, it would be the last, and the one that is told.
  const ignored = ['logs/x.log', 'tmp/x', 'maps/a.map', 'src/node_modules/x.js'];
  for (const [index, name] of ignored.entries()) {
    const next = heard();
    writeFileSync(join(folder.path, `src/new-${index}.js`), 'x');
    writeFileSync(join(folder.path, name), 'x');
    await next;
  }
  end();
  expect([...new Set(told)].filter((file) => file !== 'src/a.js')).toEqual(
    ignored.map((_, index) => `src/new-${index}.js`),
  );
});
