/** Durations, sizes, signals and names as people write them. */
import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/core/duration.ts';
import { isServiceName, nearest } from '../../src/core/name.ts';
import { parseSignal, signalNumber } from '../../src/core/signal.ts';
import { formatSize, parseSize } from '../../src/core/size.ts';

test.each([
  ['500ms', 500],
  ['10s', 10_000],
  ['1.5s', 1_500],
  ['1m30s', 90_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['250', 250],
  [250, 250],
  ['0s', 0],
])('the duration %s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', 'soon', '10x', '-1s', '10 s', '1e3', '30d', 's', Number.NaN])('"%s" is no duration', (text) => {
  expect(parseDuration(text)).toBeNull();
});

test.each([
  [0, '0ms'],
  [350, '350ms'],
  [1_500, '1.5s'],
  [10_000, '10s'],
  [90_000, '1m30s'],
  [10_800_000, '3h'],
  [187_200_000, '2d4h'],
])('%d ms are shown as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  ['300MB', 300_000_000],
  ['64KiB', 65_536],
  ['1.5GiB', 1_610_612_736],
  ['300M', 314_572_800],
  ['512', 512],
  [512, 512],
])('the size %s is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', 'big', '300XB', '-1MB'])('"%s" is no size', (text) => {
  expect(parseSize(text)).toBeNull();
});

test('a size is shown in the unit that fits', () => {
  expect([512, 65_536, 1_610_612_736].map(formatSize)).toEqual(['512B', '64KiB', '1.5GiB']);
});

test('a signal may be written with and without SIG, in any case, or as its number', () => {
  expect(['SIGTERM', 'TERM', 'term', '15', 15].map(parseSignal)).toEqual(Array(5).fill('SIGTERM'));
  expect(['SIGTREM', '0', '99', ''].map(parseSignal)).toEqual([null, null, null, null]);
  expect(signalNumber('SIGKILL')).toBe(9);
});

test('a name of a service is letters, digits, _ . and -, and not "all"', () => {
  expect(['api', 'api-2', 'a.b_c', '1'].every(isServiceName)).toBe(true);
  expect(['', 'all', 'a b', 'a:0', '-a', '../a', '__proto__', 'a'.repeat(65)].some(isServiceName)).toBe(false);
});

test('the nearest name is a misspelt one, never a different one', () => {
  expect(nearest('grase', ['signal', 'grace'])).toBe('grace');
  expect(nearest('SIGTREM', ['SIGTERM', 'SIGTRAP'])).toBe('SIGTERM');
  expect(nearest('colour', ['signal', 'grace'])).toBeNull();
});
