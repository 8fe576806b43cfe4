import { expect, test } from 'vitest';
import { type DrillReport, drillReport } from '../../src/core/drill.ts';
import { drillsText, drillText } from '../../src/view/drill.ts';
import { serviceSpec } from '../kit/spec.ts';

const NONE = { answered: 0, turnedAway: 0, failed: 0, lost: 0, refused: 0, queued: 0 };

const report: DrillReport = drillReport({
  spec: serviceSpec({ stop: { graceMs: 2_000 } }),
  instance: 'api:2',
  records: [
    { phase: 'stop-requested', at: 0 },
    { phase: 'signal-sent', at: 0 },
    {
      phase: 'app-phase',
      at: 100,
      appPhase: 'waiting',
      pending: { requests: 120, connections: 345, names: ['GET /'] },
    },
    { phase: 'kill-sent', at: 2_000, appPhase: 'waiting', pending: { requests: 3 } },
    { phase: 'exited', at: 2_010, exitCode: null, exitSignal: 'SIGKILL' },
    { phase: 'stopped', at: 2_050, verdict: 'killed', graceMs: 2_000, graceUsed: 1 },
  ],
  load: {
    url: 'http://127.0.0.1:1/',
    ratePerSecond: 50,
    before: { ...NONE, answered: 250 },
    draining: { ...NONE, answered: 4, lost: 3, refused: 9, queued: 1 },
    underWay: 7,
    retried: 1,
    unsent: 2,
    reasons: { ECONNRESET: 3 },
  },
  left: [],
  ports: [],
  outer: { name: 'outer', key: '--outer', limitMs: 2_500 },
});

test('a report says first how it went and why, then on what that stands, within 80 columns', () => {
  const text = drillText(report, { width: 80, colour: false, ascii: false });
  expect(text).toBe(`✗ api:2  no clean stop in 2.1s, 100% of grace 2s used, killed by SIGKILL

  - it did not end within its grace period of 2s and was killed, while the app
    was at waiting with requests 3
  - 3 of 267 requests lost: taken, and never answered
  - the outer limit of 2.5s would cut a stop that needs all of its time: drain
    delay, hook, grace and 1s for the rest are 3s

phase           from    takes
signal-sent     +0ms       2s  ████████████████████
  waiting     +100ms     1.9s  ━━━━━━━━━━━━━━━━━━━   requests 120, connections …
kill-sent        +2s     10ms                     █  requests 3
exited           +2s     40ms                     █

requests           sent  answered     503  failed    lost  refused  queued
before the stop     250       250       0       0       0        0       0
while stopping       17         4       0       0       3        9       1
  7 under way when the stop was asked for
  1 sent again, their kept connection was closing
  2 not sent, too many were waiting
  lost or failed by ECONNRESET 3×
  refused: behind the closed listener, as is to be expected
  queued: in the socket, for the next instance`);
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});

test('colours only where they are allowed', () => {
  expect(drillText(report, { width: 80, colour: true, ascii: false })).toContain('\u001b[31m');
});

test('several drills are counted', () => {
  expect(drillsText([report, { ...report, isClean: true, stopMs: 1_000 }], false)).toBe(
    '1 of 2 clean; stop: min 1s, median 2.1s, max 2.1s',
  );
});

test('without Unicode nothing beyond ASCII is written', () => {
  const text = drillText(report, { width: 80, colour: false, ascii: true });
  expect(text).toMatch(/^[\n -~]+$/);
  expect(text).toContain('  waiting     +100ms     1.9s  ~~~~~~~~~~~~~~~~~~~');
});
