import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import type { LogEntry } from '../../src/api/types.ts';
import { stopTimesOf } from '../../src/core/stop-times.ts';
import { topFrame, wholeTable } from '../../src/view/top.ts';
import { initialTop, listed, logged, lost, settled, type TopState, told } from '../../src/view/top-state.ts';
import { viewOf } from '../kit/views.ts';

const NOW = 1_800_000_000_000;
const VIEWS = [
  viewOf('api:0'),
  viewOf('api:1', { state: 'backoff', pid: null, nextTryAt: NOW + 8_000, attempt: 5, cpuPercent: null, restarts: 4 }),
  viewOf('worker:0', { state: 'failed', pid: null, reason: 'exit 1\nand more', memoryBytes: null, uptimeMs: null }),
];
const LOG = [entry('api:0', 'started'), entry('api:0', '日本語 👍🏽 \u001b[31mred', 'stderr')];

function entry(instance: LogEntry['instance'], line: string, stream: LogEntry['stream'] = 'stdout'): LogEntry {
  return { instance, at: NOW, stream, line };
}

function stateOf(its: Partial<TopState> = {}, size = { width: 80, height: 24 }): TopState {
  return settled({ ...logged(listed(initialTop(1_000), VIEWS), LOG), ...its }, size);
}

function shown(state: TopState, width = 80, height = 24, colour = false): readonly string[] {
  return topFrame(settled(state, { width, height }), { width, height, colour, now: NOW });
}

test('80 columns: a row an instance, the log below, the keys in the last line', () => {
  const lines = shown(stateOf(), 80, 10).map((line) => line.trimEnd());
  expect(lines).toEqual([
    ' gsup top  3 instances, 1 running, 1 backoff, 1 failed  every 1s',
    ' NAME*    STATUS                                 PID  UPTIME  RST    CPU     MEM',
    '>api:0    running 1h (ready)                    4711      1h    0   1.5%   43MiB',
    ' api:1    backoff, next try in 8s (5th)            -      1h    4      -   43MiB',
    ' worker:0 failed: exit 1^Jand more                 -       -    0   1.5%       -',
    '── log of api:0 ────────────────────────────────────────────────────────────────',
    'started',
    '日本語 👍🏽 red',
    '',
    ' ? help  q quit  x stop  r restart  s start  R reload  / filter  S sort',
  ]);
});

test('40 columns: what matters least is left out', () => {
  const lines = shown(stateOf(), 40, 10).map((line) => line.trimEnd());
  expect(lines.slice(0, 5)).toEqual([
    ' gsup top  3 instances, 1 running, 1 ba…',
    ' NAME*    STATUS                     CPU',
    '>api:0    running 1h (ready)        1.5%',
    ' api:1    backoff, next try in 8…      -',
    ' worker:0 failed: exit 1^Jand mo…   1.5%',
  ]);
});

test.each(
  [200, 80, 41, 40, 20, 12, 7, 3, 1].flatMap((width) => [50, 24, 10, 6, 4, 3, 2, 1].map((height) => [width, height])),
)('%i by %i: each line is exactly as wide, and there are exactly as many', (width, height) => {
  const modes: Partial<TopState>[] = [
    {},
    { isDetail: true },
    { isOfAll: true },
    { hasLogs: false },
    { mode: { kind: 'help' } },
    { filter: '日本語', mode: { kind: 'filter', before: '' } },
    { mode: { kind: 'question', verb: 'stop', name: 'api:0' } },
    { lost: 'the daemon went away' },
    { views: [] },
  ];
  for (const mode of modes) {
    const lines = shown(stateOf(mode, { width, height }), width, height);
    expect(lines).toHaveLength(height);
    for (const line of lines) expect(stringWidth(line), JSON.stringify([mode, line])).toBe(width);
    const painted = shown(stateOf(mode, { width, height }), width, height, true);
    expect(painted.map(plain)).toEqual(lines);
  }
});

test('without colours no escape sequence is written, and a mark tells what is selected', () => {
  const text = shown(stateOf({ isOfAll: true })).join('\n');
  expect(text).not.toMatch(/\p{Cc}(?<!\n)/u);
  expect(text).toContain('\n>api:0');
});

test('with colours the selected row is inverse, and a line of stderr yellow', () => {
  const lines = shown(stateOf(), 80, 24, true);
  expect(lines[2]).toMatch(/^\P{Cc}*\p{Cc}\[7m>api:0 .*\p{Cc}\[0m$/u);
  expect(lines.find((line) => line.includes('red'))).toContain('\u001b[33m');
});

test('p95 of the stops has a column where the daemon tells it', () => {
  expect(shown(stateOf())[1]).not.toContain('P95');
  const stops = stopTimesOf([{ ms: 1_234, graceMs: 10_000, share: 0.1, isKilled: false }]);
  const killed = stopTimesOf([{ ms: 10_000, graceMs: 10_000, share: 1, isKilled: true }]);
  const lines = shown(
    stateOf({ views: [viewOf('api:0', { stops }), viewOf('api:1'), viewOf('db:0', { stops: killed })] }),
    90,
  );
  expect(lines[1]?.trimEnd()).toMatch(/MEM {4}P95$/);
  expect(lines[2]?.trimEnd()).toMatch(/43MiB {3}1\.2s$/);
  expect(lines[3]?.trimEnd()).toMatch(/43MiB {6}-$/);
  expect(lines[4]?.trimEnd()).toMatch(/43MiB {3}>10s$/);
});

test('both runs of an instance stand there while one replaces the other', () => {
  const views = [viewOf('api:0'), viewOf('api:0', { spare: 'coming', state: 'starting', uptimeMs: 300 })];
  expect(shown(stateOf({ views })).slice(2, 4).join('\n')).toMatch(/>api:0 +running.*\n api:0 +coming: starting 300ms/);
});

test('the last line: a question before what is lost, what is lost before what has happened', () => {
  const happened = told(stateOf(), 'api:0  stopped cleanly', 'green', NOW);
  expect(shown(happened).at(-1)).toMatch(/^ api:0 {2}stopped cleanly +$/);
  const gone = lost(happened, 'the daemon went away');
  expect(shown(gone).at(-1)).toMatch(/^ the daemon went away; trying again +$/);
  const asked: TopState = { ...gone, mode: { kind: 'question', verb: 'restart', name: 'api:0' } };
  expect(shown(asked).at(-1)).toMatch(/^ restart api:0\? y\/n +$/);
  const later = topFrame(happened, { width: 80, height: 24, colour: false, now: NOW + 10_000 });
  expect(later.at(-1)).toMatch(/^ \? help/);
});

test('the selection stays with its instance when the order changes, and goes to the neighbour when it is deleted', () => {
  const second = settled({ ...stateOf(), selected: 'api:1' }, { width: 80, height: 24 });
  const sorted = settled({ ...second, sort: 'restarts' }, { width: 80, height: 24 });
  expect([sorted.selected, sorted.position]).toEqual(['api:1', 0]);
  const deleted = settled(
    listed(
      second,
      [VIEWS[0], VIEWS[2]].flatMap((view) => view ?? []),
    ),
    { width: 80, height: 24 },
  );
  expect(deleted.selected).toBe('worker:0');
});

test('names are sorted as people count', () => {
  const views = [viewOf('b:0'), viewOf('a:10'), viewOf('a:9')];
  const names = shown(listed(stateOf(), views)).slice(2, 5);
  expect(names.map((line) => line.slice(1, 5))).toEqual(['a:9 ', 'a:10', 'b:0 ']);
});

test('who reads further up in the log is not moved by lines that come', () => {
  const many = Array.from({ length: 100 }, (_, n) => entry('api:0', `line ${n}`));
  const up = { ...logged(stateOf(), many), scroll: 10 };
  const before = shown(up).filter((line) => line.startsWith('line'));
  const after = shown(logged(up, [entry('api:0', 'another')])).filter((line) => line.startsWith('line'));
  expect(after).toEqual(before);
});

test('1,000 lines of a log are kept', () => {
  const many = Array.from({ length: 2_500 }, (_, n) => entry('api:0', `line ${n}`));
  const { log } = logged(stateOf(), many);
  expect(log).toHaveLength(1_000);
  expect(log.at(-1)?.text).toBe('line 2499');
});

test('--once: all rows, however many, and nothing else', () => {
  const views = Array.from({ length: 60 }, (_, n) => viewOf(`api:${n}`));
  const state = listed(initialTop(1_000), views);
  const lines = wholeTable(state, { width: 100, colour: false, now: NOW });
  expect(lines).toHaveLength(62);
  expect(lines.at(-1)).toMatch(/^ api:59 .*MiB$/);
});

test('a frame of 1,000 instances takes less than 20 ms, sorted and filtered too', () => {
  const views = Array.from({ length: 1_000 }, (_, n) => viewOf(`service-${n % 40}:${n}`, { cpuPercent: n % 100 }));
  for (const its of [{}, { sort: 'cpu' as const }, { filter: 'service-1' }]) {
    const took = Array.from({ length: 15 }, () => {
      const began = process.cpuUsage();
      shown({ ...listed(stateOf(), views), ...its }, 120, 50, true);
      return process.cpuUsage(began).user / 1_000;
    });
    // The least, in time of a processor: the machine may be busy with other things.
    expect(Math.min(...took)).toBeLessThan(20);
  }
});

function plain(line: string): string {
  return line.replaceAll(/\p{Cc}\[\d+m/gu, '');
}
