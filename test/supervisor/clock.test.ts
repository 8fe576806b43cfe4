import { expect, test } from 'vitest';
import { clockBase, clockSetByMs, continueClock, momentsOf, systemClock } from '../../src/supervisor/clock.ts';
import { byWallClock } from '../../src/supervisor/journal.ts';

const HOURS_5 = 5 * 3_600_000;

test('a clock that was set back since an earlier process moves neither its moments nor the monotonic ones', () => {
  const [now, { mono }, wall] = [systemClock.now(), momentsOf(systemClock.now()), Date.now()];
  expect(clockSetByMs()).toBe(0);
  // The earlier process started when the wall clock was five hours ahead of today's.
  continueClock(clockBase() + HOURS_5);
  const later = systemClock.now();
  expect(later - now).toBeGreaterThanOrEqual(HOURS_5);
  expect(later - now).toBeLessThan(HOURS_5 + 10_000);
  expect(Math.abs(momentsOf(later).mono - mono)).toBeLessThan(10_000);
  expect(Math.abs(momentsOf(later).time - wall)).toBeLessThan(10_000);
  expect(Math.abs(clockSetByMs() + HOURS_5)).toBeLessThan(10_000);
  const { deadline = 0 } = byWallClock({ phase: 'signal-sent', deadline: Math.round(later + 1_000) });
  expect(Math.abs(deadline - Date.now() - 1_000)).toBeLessThan(10_000);
});
