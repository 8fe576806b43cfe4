import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { episodesOf } from '../../src/core/history.ts';
import { occasionsOf } from '../../src/core/occasion.ts';
import type { PhaseRecord } from '../../src/core/record.ts';
import { timelineText } from '../../src/view/timeline.ts';
import { pictureOf } from '../../src/view/timeline-picture.ts';
import { timelineSvg } from '../../src/view/timeline-svg.ts';
import { timelineTrace } from '../../src/view/timeline-trace.ts';
import { ACTIONS, lives } from '../kit/lives.ts';
import { World } from '../kit/world.ts';

const BEGIN = Date.parse('2026-01-02T03:04:05Z');
const PLAIN = { width: 80, colour: false, ascii: false, now: BEGIN + 60_000 };

function occasions(steps: readonly (PhaseRecord & { readonly ms: number })[]) {
  return occasionsOf(
    episodesOf(
      steps.map(({ ms, ...record }) => ({
        service: 'api',
        instance: 'api:0',
        run: 1,
        ...record,
        at: BEGIN + ms,
        mono: ms,
      })),
    ),
  );
}

const HANGING = occasions([
  { ms: 0, phase: 'stop-requested', reason: 'gsup stop', graceMs: 2_000 },
  { ms: 0, phase: 'draining' },
  { ms: 300, phase: 'signal-sent', signal: 'SIGTERM', target: 'leader', graceMs: 2_000 },
  { ms: 320, phase: 'app-phase', appPhase: 'waiting', pending: { requests: 2 } },
  { ms: 700, phase: 'app-phase', appPhase: 'closing', pending: { requests: 0, names: ['hook cache'] } },
  { ms: 900, phase: 'app-phase', appPhase: 'closing', pending: { requests: 0, names: ['hook metrics'] } },
  {
    ms: 2_300,
    phase: 'kill-sent',
    reason: 'grace period over',
    appPhase: 'closing',
    pending: { names: ['hook metrics'] },
  },
  { ms: 2_310, phase: 'exited', exitSignal: 'SIGKILL' },
  { ms: 2_320, phase: 'survivors-killed', survivors: [{ pid: 812, command: 'sleep 1000' }] },
  { ms: 2_400, phase: 'stopped', verdict: 'killed', graceUsed: 1, graceMs: 2_000 },
]);

const ABORTED = occasions([
  { ms: 0, phase: 'rolling-started', reason: 'gsup reload', instances: ['api:0'] },
  { ms: 20, phase: 'spawned', run: 2, pid: 900, check: 'log' },
  { ms: 1_020, phase: 'ready-timeout', run: 2, reason: 'log' },
  { ms: 1_020, phase: 'stop-requested', run: 2, reason: 'not ready within 1s', graceMs: 10_000 },
  { ms: 1_020, phase: 'signal-sent', run: 2, signal: 'SIGTERM', graceMs: 10_000 },
  { ms: 1_020, phase: 'rolling-aborted', reason: 'not ready within 1s' },
  { ms: 1_100, phase: 'exited', run: 2, exitSignal: 'SIGTERM' },
  { ms: 1_110, phase: 'stopped', run: 2, verdict: 'clean', graceUsed: 0.01, graceMs: 10_000 },
]);

describe('as text', () => {
  test('a stop names the hook that hung, who was killed, and what it still had to do', () => {
    expect(timelineText(HANGING, PLAIN)).toMatchInlineSnapshot(`
      "stop of api:0: gsup stop                                    2026-01-02 03:04:05Z
        2.4s
                           |0ms            |1s             |2s
      api:0 stop               ────────────────────────────────┤    killed, 100% of 2s
        draining           ░░░░░                                    300ms
        SIGTERM                █████████████████████████████████    2s
          waiting               ━━━━━━                              380ms requests 2
          closing                     ━━━━━━━━━━━━━━━━━━━━━━━━━━━   1.6s hook metrics
            hook cache                ━━━━                          200ms
            hook metrics                 ━━━━━━━━━━━━━━━━━━━━━━━━   1.4s cut off
        SIGKILL                                                 X   10ms
        survivors SIGKILL                                       XX  80ms
          SIGKILL: grace period over at closing; still to do: hook metrics
          survivor 812 (sleep 1000): killed"
    `);
  });

  test('a reload that failed says why, and the grace period that ends beyond the axis is open', () => {
    expect(timelineText(ABORTED, { ...PLAIN, ascii: true, width: 60 })).toMatchInlineSnapshot(`
      "reload of api: gsup reload              2026-01-02 03:04:05Z
        given up after 1.1s: api:0: not ready within 1s
                    |0ms                    |1s
      api:0 start   =========================    did not get ready
          check: log
      api:0 stop                            ==,  clean, 1% of 10s"
    `);
  });

  test('colours are between the words only, and without them it is the same text', () => {
    const coloured = timelineText(HANGING, { ...PLAIN, colour: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(timelineText(HANGING, PLAIN));
    expect(coloured).toContain('\u001b[31m');
  });

  test('what goes on is drawn up to now', () => {
    const [going] = occasions([
      { ms: 0, phase: 'stop-requested', reason: 'gsup stop', graceMs: 100_000 },
      { ms: 0, phase: 'signal-sent', signal: 'SIGTERM', graceMs: 100_000 },
    ]);
    expect(going === undefined ? null : pictureOf(going, BEGIN + 60_000)).toMatchObject({
      axisMs: 60_000,
      outcome: 'not over',
      rows: [{ bars: [{ fromMs: 0, toMs: 60_000 }], note: 'still stopping' }],
    });
  });

  test('of a thousand instances those that needed SIGKILL are named, and the rest is counted', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => ({
      service: 'api',
      instance: `api:${index}` as const,
    }));
    const text = timelineText(
      occasions([
        ...many.map((who) => ({ ...who, ms: 0, phase: 'stop-requested', reason: 'x', graceMs: 100 }) as const),
        ...many.map((who) => ({ ...who, ms: 0, phase: 'signal-sent', signal: 'SIGTERM', graceMs: 100 }) as const),
        { ms: 100, phase: 'kill-sent', instance: 'api:500', reason: 'grace period over' },
        ...many.map(({ instance, service }) => {
          const verdict = instance === 'api:500' ? 'killed' : 'clean';
          return { service, instance, ms: 100, phase: 'stopped', verdict, graceUsed: 0.5, graceMs: 100 } as const;
        }),
      ]),
      PLAIN,
    );
    expect(text).toMatch(/^api:500 stop .* killed, 50% of 100ms$/m);
    expect(text).toMatch(/^and 960 more +all went well$/m);
    expect(text.split('\n').length).toBeLessThan(60);
  });

  test('control characters of a command line never reach the terminal', () => {
    const text = timelineText(
      occasions([
        { ms: 0, phase: 'stop-requested', reason: 'x', graceMs: 1 },
        { ms: 1, phase: 'survivors-killed', survivors: [{ pid: 1, command: 'a\u001b]0;title\u0007\nb' }] },
        { ms: 2, phase: 'stopped', verdict: 'killed' },
      ]),
      PLAIN,
    );
    expect(text).toContain('survivor 1 (a b): killed');
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

test('whatever happened, it fits its width, its bars lie on the axis, and without Unicode it is ASCII', () => {
  fc.assert(
    fc.property(lives(60), fc.integer({ min: 60, max: 200 }), fc.boolean(), ({ spec, actions }, width, ascii) => {
      const world = new World(spec);
      for (const action of actions) ACTIONS[action](world);
      const all = occasionsOf(episodesOf(world.told));
      const now = Math.max(0, ...world.told.map(({ at }) => at));
      const text = timelineText(all, { width, colour: false, ascii, now });
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
      if (ascii) expect(text).toMatch(/^[\n -~]*$/);
      for (const one of all) {
        const { axisMs, rows } = pictureOf(one, now);
        for (const { fromMs, toMs } of rows.flatMap(({ bars }) => bars)) {
          expect(fromMs).toBeGreaterThanOrEqual(0);
          expect(toMs).toBeGreaterThanOrEqual(fromMs);
          expect(toMs).toBeLessThanOrEqual(axisMs + 0.2);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('the SVG is well-formed XML, whatever is in names and reasons, and each bar has its title', () => {
  const nasty = occasions([
    { ms: 0, phase: 'stop-requested', reason: '<script>&"\u0000\ud800', graceMs: 100 },
    { ms: 0, phase: 'signal-sent', signal: 'SIGTERM', graceMs: 100 },
    { ms: 50, phase: 'stopped', verdict: 'clean' },
  ]);
  const svg = timelineSvg([...HANGING, ...ABORTED, ...nasty], { now: BEGIN });
  const program =
    'import sys, xml.etree.ElementTree as e; r = e.fromstring(sys.stdin.buffer.read()); b = [x for x in r.iter() if x.tag.endswith("rect") and x.get("class") != "paper"]; print(len(b), sum(1 for x in b if len(x) == 1 and x[0].text))';
  const { stdout, stderr } = spawnSync('python3', ['-c', program], { input: svg, encoding: 'utf8' });
  expect(stderr).toBe('');
  const [bars, titles] = stdout.trim().split(' ');
  expect(Number(bars)).toBeGreaterThan(8);
  expect(titles).toBe(bars);
  expect(svg).toContain('hook metrics, cut off: 1.4s');
  expect(timelineSvg([], { now: BEGIN })).toContain('aria-label="nothing happened yet"');
});

test('the trace has the events of the trace event format, on a named thread for each instance and its app', () => {
  const { traceEvents } = timelineTrace(HANGING, BEGIN);
  const names = traceEvents.flatMap((event) => (event.ph === 'M' ? [event.args.name] : []));
  expect(names).toEqual(['gsup', 'gsup', 'api', 'api:0', 'api:0 app'].toSorted(() => 0));
  const threads = new Set(traceEvents.map(({ pid, tid }) => `${pid} ${tid}`));
  for (const event of traceEvents) {
    expect(['X', 'i', 'M']).toContain(event.ph);
    if (event.ph === 'M') continue;
    expect(Number.isInteger(event.ts)).toBe(true);
    expect(event.ts).toBeGreaterThanOrEqual(BEGIN * 1000);
    if (event.ph === 'X') expect(event.dur).toBeGreaterThanOrEqual(0);
    expect(threads).toContain(`${event.pid} ${event.tid}`);
  }
  expect(traceEvents).toContainEqual(
    expect.objectContaining({ ph: 'X', name: 'hook metrics', ts: (BEGIN + 900) * 1000, dur: 1_410_000 }),
  );
  expect(traceEvents).toContainEqual(expect.objectContaining({ ph: 'i', name: 'SIGKILL' }));
});
