import { expect, test } from 'vitest';
import { type DrillFacts, drillReport, type LoadFacts, stopTimes } from '../../src/core/drill.ts';
import { serviceSpec } from '../kit/spec.ts';

const NONE = { answered: 0, turnedAway: 0, failed: 0, lost: 0, refused: 0, queued: 0 };

function load(before: Partial<typeof NONE>, draining: Partial<typeof NONE>): LoadFacts {
  const counts = { before: { ...NONE, ...before }, draining: { ...NONE, ...draining } };
  return { url: 'http://127.0.0.1:1/', ratePerSecond: 9, ...counts, underWay: 0, retried: 0, unsent: 0, reasons: {} };
}

const CLEAN: DrillFacts['records'] = [
  { phase: 'spawned', at: 1000, pid: 7 },
  { phase: 'ready', at: 1100, elapsedMs: 100.4 },
  { phase: 'stop-requested', at: 2000, graceMs: 10_000 },
  { phase: 'draining', at: 2000 },
  { phase: 'signal-sent', at: 2500 },
  { phase: 'app-phase', at: 2510, appPhase: 'waiting', pending: { requests: 3, tasks: 0, names: [] } },
  { phase: 'app-phase', at: 2550, appPhase: 'waiting', pending: { requests: 1 } },
  { phase: 'app-phase', at: 2600, appPhase: 'closing' },
  { phase: 'app-phase', at: 2650, appPhase: 'report', pending: { undone: [] } },
  { phase: 'exited', at: 2700, exitCode: 0, exitSignal: null },
  { phase: 'logs-drained', at: 2710 },
  { phase: 'stopped', at: 2720, verdict: 'clean', graceMs: 10_000, graceUsed: 0.02 },
];

function facts(given: Partial<DrillFacts> = {}): DrillFacts {
  const spec = serviceSpec({ stop: { graceMs: 10_000, drainDelayMs: 500 } });
  return { spec, instance: 'api:1', records: CLEAN, load: null, left: [], ports: [], outer: null, ...given };
}

const outer = (limitMs: number) => ({ name: 'outer', key: '--outer', limitMs });
const withRecord = (record: DrillFacts['records'][number]) =>
  CLEAN.flatMap((one) => (one.phase === 'exited' ? [record, one] : [one]));
const killed = CLEAN.map((record) => (record.phase === 'stopped' ? { ...record, verdict: 'killed' as const } : record));

test('a clean stop: each phase goes until the next of its kind, an app phase told twice is one', () => {
  const { phases, ...report } = drillReport(facts());
  expect(report).toMatchObject({ isClean: true, problems: [], readyMs: 100, stopMs: 720, graceUsed: 0.02 });
  expect(report.exit).toEqual({ code: 0, signal: null });
  expect(phases.map(({ name, of, atMs, ms }) => [name, of, atMs, ms])).toEqual([
    ['draining', 'ladder', 0, 500],
    ['signal-sent', 'ladder', 500, 200],
    ['waiting', 'app', 510, 90],
    ['closing', 'app', 600, 100],
    ['exited', 'ladder', 700, 10],
    ['logs-drained', 'ladder', 710, 10],
  ]);
  expect(phases.find(({ name }) => name === 'waiting')?.pending).toEqual({ requests: 3 });
});

test.each<[string, Partial<DrillFacts>, string[]]>([
  [
    'requests lost',
    { load: load({ answered: 8 }, { answered: 1, lost: 2 }) },
    ['2 of 11 requests lost: taken, and never answered'],
  ],
  [
    'failed only while it stopped',
    { load: load({ answered: 8 }, { failed: 1 }) },
    ['1 request failed while it stopped, none before'],
  ],
  ['failed before too: not by the stop', { load: load({ failed: 8 }, { failed: 1 }) }, []],
  [
    'refused behind the listener, queued, turned away',
    { load: load({ answered: 1 }, { refused: 5, queued: 5, turnedAway: 5 }) },
    [],
  ],
  ['refused before the stop', { load: load({ refused: 2 }, {}) }, ['2 requests were refused before the stop']],
  [
    'killed, with what the app was at',
    {
      records: withRecord({ phase: 'kill-sent', at: 2690, appPhase: 'closing', pending: { hooks: ['db'], tasks: 0 } }),
    },
    ['it did not end within its grace period of 10s and was killed, while the app was at closing with hooks ["db"]'],
  ],
  ['only a survivor was killed', { records: killed }, ['what outlived it had to be killed']],
  [
    'survivors signalled',
    { records: withRecord({ phase: 'survivors-signalled', at: 2690, survivors: [{ pid: 9, command: 'sleep 9' }] }) },
    ['9 (sleep 9) outlived it and ended by its signal'],
  ],
  [
    'left',
    { left: [{ pid: 9, command: 'sleep 9' }] },
    ['9 (sleep 9) outlived it and was left by the ladder; the drill has killed it'],
  ],
  [
    'a port held',
    { ports: [{ address: '127.0.0.1:3000', pid: 9, command: 'sleep 9' }] },
    ['127.0.0.1:3000 was still held afterwards by 9 (sleep 9)'],
  ],
  [
    'work left undone',
    { records: withRecord({ phase: 'app-phase', at: 2690, appPhase: 'report', pending: { undone: ['hook db'] } }) },
    ['the app left undone: hook db'],
  ],
  ['enough outer time', { outer: outer(11_500) }, []],
  [
    'too little outer time for the whole plan',
    { outer: outer(11_000) },
    [
      'the outer limit of 11s would cut a stop that needs all of its time: drain delay, hook, grace and 1s for the rest are 12s',
    ],
  ],
  [
    'less than this very stop took',
    { outer: outer(700) },
    ['the outer limit of 700ms would have cut this stop, which took 720ms'],
  ],
])('what makes a stop unclean: %s', (_, given, problems) => {
  const report = drillReport(facts(given));
  expect(report.problems).toEqual(problems);
  expect(report.isClean).toBe(problems.length === 0);
});

test('several drills: least, median and most', () => {
  const of = (stopMs: number) => ({ ...drillReport(facts()), stopMs });
  expect(stopTimes([of(30), of(10), of(20)])).toEqual({ min: 10, median: 20, max: 30 });
  expect(stopTimes([])).toBeNull();
});
