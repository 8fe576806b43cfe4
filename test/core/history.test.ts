import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EndEpisode, Episode } from '../../src/core/episode.ts';
import { episodesOf } from '../../src/core/history.ts';
import { lastOccasions, occasionsOf } from '../../src/core/occasion.ts';
import type { PhaseRecord } from '../../src/core/record.ts';
import { parseRecorded, type Recorded } from '../../src/core/recorded.ts';
import { ACTIONS, lives } from '../kit/lives.ts';
import { World } from '../kit/world.ts';

const BEGIN = Date.parse('2026-01-02T03:04:05Z');

type Step = PhaseRecord & { readonly ms: number; readonly wallMs?: number };

/** Records of run 1 of api:0 unless they say otherwise; `ms` by the monotonic clock, `wallMs` by the other where that was set. */
function journal(...steps: readonly Step[]): readonly Recorded[] {
  return steps.map(({ ms, wallMs = ms, ...record }) => {
    const who = WHOLE.test(record.phase) ? {} : { service: 'api', instance: 'api:0' as const, run: 1, pid: 100 };
    return { ...who, ...record, at: BEGIN + wallMs, mono: 5_000 + ms };
  });
}

const WHOLE = /^(supervisor|shutdown|wave)-/;

function ends(episodes: readonly Episode[]): readonly EndEpisode[] {
  return episodes.flatMap((one) => (one.kind === 'stop' || one.kind === 'exit' ? [one] : []));
}

const STOP = [
  { ms: 0, phase: 'spawned', check: 'http', command: 'node api.js' },
  { ms: 400, phase: 'ready', elapsedMs: 410 },
  { ms: 10_000, phase: 'stop-requested', reason: 'gsup stop', graceMs: 2_000 },
  { ms: 10_000, phase: 'draining', remainingMs: 500 },
  { ms: 10_500, phase: 'signal-sent', signal: 'SIGTERM', target: 'leader', graceMs: 2_000, elapsedMs: 500 },
  { ms: 10_510, phase: 'app-phase', appPhase: 'waiting', pending: { requests: 3 } },
  { ms: 10_900, phase: 'app-phase', appPhase: 'closing', pending: { names: ['db'] } },
  { ms: 12_100, phase: 'grace-warning' },
  { ms: 12_500, phase: 'kill-sent', reason: 'grace period over', appPhase: 'closing', pending: { names: ['db'] } },
  { ms: 12_510, phase: 'exited', exitCode: null, exitSignal: 'SIGKILL', elapsedMs: 12_510 },
  { ms: 12_520, phase: 'survivors-killed', survivors: [{ pid: 7, command: 'sleep' }] },
  { ms: 12_530, phase: 'logs-drained', isComplete: true },
  { ms: 12_530, phase: 'stopped', verdict: 'killed', graceMs: 2_000, graceUsed: 1, elapsedMs: 2_530 },
] as const satisfies readonly Step[];

describe('a stop', () => {
  test('has its rungs, the phases of the app, the frame and the verdict', () => {
    const [start, stop] = episodesOf(journal(...STOP));
    expect(start).toMatchObject({ kind: 'start', outcome: 'ready', ms: 400, check: 'http', isWhole: true });
    expect(stop).toMatchObject({
      kind: 'stop',
      instance: 'api:0',
      reason: 'gsup stop',
      ms: 2_530,
      grace: { fromMs: 500, ms: 2_000 },
      warnedMs: 2_100,
      exit: { code: null, signal: 'SIGKILL', atMs: 2_510 },
      killed: { atMs: 2_500, appPhase: 'closing', pending: { names: ['db'] } },
      survivors: [{ pid: 7, isKilled: true }],
      verdict: 'killed',
      graceUsed: 1,
    });
    const bars = ends(episodesOf(journal(...STOP)))[0];
    expect(bars?.rungs.map(({ rung, fromMs, toMs }) => [rung, fromMs, toMs])).toEqual([
      ['draining', 0, 500],
      ['signal-sent', 500, 2_500],
      ['kill-sent', 2_500, 2_510],
      ['exited', 2_510, 2_520],
      ['survivors-killed', 2_520, 2_530],
    ]);
    expect(bars?.app.map(({ phase, fromMs, toMs }) => [phase, fromMs, toMs])).toEqual([
      ['waiting', 510, 900],
      ['closing', 900, 2_510],
    ]);
  });

  test('whose beginning was rotated away leads back to it, and says that it is not whole', () => {
    const [stop] = ends(episodesOf(journal(...STOP.slice(4))));
    expect(stop).toMatchObject({ isWhole: false, reason: null, ms: 2_530, verdict: 'killed' });
    const [last] = ends(episodesOf(journal(...STOP.slice(-1))));
    expect(last).toMatchObject({ isWhole: false, ms: 2_530, at: BEGIN + 10_000 });
  });

  test('keeps its lengths when the wall clock is set back in the middle of it', () => {
    const jumped = STOP.map((step, index) => ({ ...step, wallMs: index > 5 ? step.ms - 3_600_000 : step.ms }));
    const [stop] = ends(episodesOf(journal(...jumped)));
    const [straight] = ends(episodesOf(journal(...STOP)));
    expect(stop).toEqual(straight);
  });

  test('goes on under another daemon of the same boot as one episode', () => {
    const adopted = [
      { ms: -1, phase: 'supervisor-started', boot: 'a', version: '1' },
      ...STOP.slice(0, 6),
      { ms: 11_000, phase: 'supervisor-started', boot: 'a', version: '1' },
      { ms: 11_001, phase: 'adopted' },
      ...STOP.slice(6),
    ] as const;
    const [stop, ...others] = ends(episodesOf(journal(...adopted)));
    expect(others).toEqual([]);
    expect(stop).toMatchObject({ adoptedMs: [1_001], ms: 2_530, isWhole: true, isLost: false });
  });

  test('has no end that anybody saw when the machine was switched off', () => {
    const [stop] = ends(
      episodesOf([
        ...journal(...STOP.slice(0, 6)),
        { phase: 'supervisor-started', boot: 'b', at: BEGIN + 90_000, mono: 30 },
      ]),
    );
    expect(stop).toMatchObject({ ms: null, isLost: true, verdict: null });
  });

  test('takes the report of the app: its hooks, and what was left undone', () => {
    const report = {
      exitCode: 1,
      hooks: [{ name: 'db', outcome: 'late', ms: 900, phase: 'close' }],
      undone: ['hook "db" had not ended after 900 ms'],
    };
    const told = [
      ...STOP.slice(0, 8),
      { ms: 12_200, phase: 'app-phase', appPhase: 'report', pending: report },
    ] as const;
    expect(ends(episodesOf(journal(...told)))[0]).toMatchObject({
      appSteps: [{ kind: 'hook', name: 'db', ms: 900, outcome: 'late', error: null }],
      undone: ['hook "db" had not ended after 900 ms'],
    });
  });
});

test('what ends by itself is an exit with what the restart policy says, and its restart is of the same occasion', () => {
  const episodes = episodesOf(
    journal(
      { ms: 0, phase: 'spawned' },
      { ms: 1_000, phase: 'exited', exitCode: 1, exitSignal: null, elapsedMs: 1_000 },
      { ms: 1_005, phase: 'logs-drained', isComplete: true },
      { ms: 1_005, phase: 'backoff', reason: 'exit 1', delayMs: 250, attempt: 1 },
      { ms: 1_260, phase: 'spawned', run: 2 },
    ),
  );
  expect(ends(episodes)).toMatchObject([
    { kind: 'exit', exit: { code: 1 }, ms: 5, verdict: null, afterwards: { kind: 'backoff', delayMs: 250 } },
  ]);
  const occasions = occasionsOf(episodes);
  expect(occasions.map(({ kind, members }) => [kind, members.length])).toEqual([
    ['start', 1],
    ['exit', 2],
  ]);
  expect(lastOccasions(occasions, { names: ['api'], kinds: ['exit'], last: 5 })).toMatchObject([{ spanMs: 260 }]);
});

test('what was found out about a SIGKILL of unknown origin is of its exit, though it comes when that is over', () => {
  const oom = { verdict: 'no', kills: 0 } as unknown as NonNullable<PhaseRecord['oom']>;
  const episodes = episodesOf(
    journal(
      { ms: 0, phase: 'exited', exitCode: null, exitSignal: 'SIGKILL', elapsedMs: 9 },
      { ms: 5, phase: 'logs-drained', isComplete: true },
      { ms: 90, phase: 'oom-checked', oom },
    ),
  );
  expect(episodes).toMatchObject([{ kind: 'exit', oom, ms: 5 }]);
});

test('two runs of one instance in a reload are two episodes, whatever the order of their records', () => {
  const occasions = occasionsOf(
    episodesOf(
      journal(
        { ms: 0, phase: 'rolling-started', reason: 'gsup reload', instances: ['api:0'] },
        { ms: 10, phase: 'spawned', run: 2, check: 'http' },
        { ms: 500, phase: 'ready', run: 2, elapsedMs: 490 },
        { ms: 700, phase: 'rolling-step', reason: '101 is ready; 100 leaves' },
        { ms: 700, phase: 'stop-requested', run: 1, reason: 'gsup reload', graceMs: 1_000 },
        { ms: 700, phase: 'signal-sent', run: 1, signal: 'SIGTERM', graceMs: 1_000 },
        { ms: 705, phase: 'app-phase', run: 2, appPhase: 'running' },
        { ms: 800, phase: 'exited', run: 1, exitCode: 0 },
        { ms: 810, phase: 'logs-drained', run: 1 },
        { ms: 810, phase: 'stopped', run: 1, verdict: 'clean', graceUsed: 0.11, graceMs: 1_000, elapsedMs: 110 },
        { ms: 810, phase: 'rolling-completed', elapsedMs: 810 },
      ),
    ),
  );
  expect(occasions).toMatchObject([
    {
      kind: 'reload',
      spanMs: 810,
      isOver: true,
      whole: { outcome: 'completed' },
      members: [
        { fromMs: 10, episode: { kind: 'start', run: 2, outcome: 'ready' } },
        { fromMs: 700, episode: { kind: 'stop', run: 1, app: [], verdict: 'clean' } },
      ],
    },
  ]);
});

test('whatever comes in whatever order, each stop is one episode with one verdict, and its bars lie within it', () => {
  fc.assert(
    fc.property(lives(60), fc.nat(20), ({ spec, actions }, lost) => {
      const world = new World(spec);
      for (const action of actions) ACTIONS[action](world);
      checkEpisodes(world.told);
      // Also where the beginning was rotated away.
      for (const bars of ends(episodesOf(world.told.slice(lost)))) checkBars(bars);
    }),
    { numRuns: 2_000 },
  );
});

function checkEpisodes(told: readonly Recorded[]): void {
  const episodes = episodesOf(told);
  const stops = ends(episodes).filter(({ kind }) => kind === 'stop');
  const requested = told.filter(({ phase }) => phase === 'stop-requested').length;
  const verdicts = told.filter(({ phase }) => phase === 'stopped');
  // One that was asked to stop before its process was there has no request that was told.
  const unasked = stops.filter(({ reason }) => reason === null).length;
  expect(stops).toHaveLength(requested + unasked);
  expect(stops.flatMap(({ verdict }) => verdict ?? [])).toEqual(verdicts.map(({ verdict }) => verdict));
  for (const stop of stops) expect(stop.isWhole).toBe(true);
  for (const end of ends(episodes)) checkBars(end);
  const members = occasionsOf(episodes).flatMap((occasion) =>
    occasion.members.map(({ fromMs, episode }) => fromMs + (episode.ms ?? 0) <= occasion.spanMs + 0.2),
  );
  expect(members).toHaveLength(episodes.length);
  expect(members).not.toContain(false);
}

function checkBars({ rungs, app, ms }: EndEpisode): void {
  for (const bars of [rungs, app])
    for (const [index, { fromMs, toMs }] of bars.entries()) {
      expect(fromMs).toBeGreaterThanOrEqual(bars[index - 1]?.toMs ?? 0);
      if (toMs === null) expect([index, ms]).toEqual([bars.length - 1, null]);
      else expect(toMs).toBeGreaterThanOrEqual(fromMs);
      if (ms !== null) expect(toMs).toBeLessThanOrEqual(ms);
    }
}

describe('a line of NDJSON', () => {
  const LINE = '{"level":40,"time":5,"mono":1.5,"phase":"exited","service":"api","instance":"api:0","msg":"exit 1"}';

  test('is a record when gsup wrote it', () => {
    const record = { phase: 'exited', service: 'api', instance: 'api:0', at: 5, mono: 1.5, level: 'warn' };
    expect(parseRecorded(LINE)).toEqual(record);
    expect(parseRecorded(JSON.stringify(record))).toEqual(record);
  });

  test.each([
    ['that was not written to its end', LINE.slice(0, -4)],
    ['of an app that speaks of its phases too', '{"level":30,"time":5,"phase":"draining","pending":{}}'],
    ['that is none', 'listening on 3000'],
    ['without a time', '{"phase":"exited","instance":"api:0"}'],
    ['of nothing', 'null'],
  ])('%s is no record', (_, line) => {
    expect(parseRecorded(line)).toBeNull();
  });
});

const RELOAD = [
  { ms: 0, phase: 'rolling-started', reason: 'gsup reload', instances: ['api:0', 'api:1'] },
  { ms: 200, phase: 'rolling-step', reason: 'the new one is ready' },
  { ms: 900, phase: 'rolling-completed', reason: 'all are new', elapsedMs: 900 },
] as const satisfies readonly Step[];

describe('a reload', () => {
  test('has its steps from its beginning on, who it was for, and how it ended', () => {
    expect(episodesOf(journal(...RELOAD))).toEqual([
      {
        kind: 'reload',
        service: 'api',
        at: BEGIN,
        axisMs: BEGIN,
        isWhole: true,
        ms: 900,
        isLost: false,
        reason: 'gsup reload',
        instances: ['api:0', 'api:1'],
        steps: [{ atMs: 200, instance: 'api:0', reason: 'the new one is ready' }],
        outcome: 'completed',
        aborted: null,
      },
    ]);
  });

  test('one that was given up says by whom and why', () => {
    const given = { ms: 700, phase: 'rolling-aborted', reason: 'it was not ready in time', elapsedMs: 700 } as const;
    expect(episodesOf(journal(RELOAD[0], given))).toMatchObject([
      { outcome: 'aborted', ms: 700, reason: 'gsup reload', aborted: { instance: 'api:0', reason: given.reason } },
    ]);
  });

  test('of one whose beginning is not in the records any more, its length leads back to it', () => {
    expect(episodesOf(journal(RELOAD[2]))).toMatchObject([
      { at: BEGIN, axisMs: BEGIN, isWhole: false, ms: 900, reason: 'all are new', instances: [], outcome: 'completed' },
    ]);
  });

  test('one that is begun while another goes on takes its place; one after it does not', () => {
    const second = { ...RELOAD[0], ms: 1_000 };
    expect(episodesOf(journal(RELOAD[0], second))).toMatchObject([{ isLost: true }, { isLost: false, ms: null }]);
    expect(episodesOf(journal(...RELOAD, second))).toMatchObject([{ isLost: false }, { isLost: false }]);
  });
});

const SHUTDOWN = [
  { ms: 0, phase: 'shutdown-started', reason: 'SIGTERM', signal: 'SIGTERM', remainingMs: 30_000 },
  { ms: 5, phase: 'wave-started', instances: ['api:0', 'api:1'] },
  { ms: 300, phase: 'wave-started', instances: ['db:0'] },
  { ms: 700, phase: 'shutdown-completed', verdict: 'clean', elapsedMs: 700 },
] as const satisfies readonly Step[];

describe('a shutdown', () => {
  test('has its waves from its beginning on, what was asked, and the verdict', () => {
    expect(episodesOf(journal(...SHUTDOWN))).toEqual([
      {
        kind: 'shutdown',
        at: BEGIN,
        axisMs: BEGIN,
        isWhole: true,
        ms: 700,
        isLost: false,
        reason: 'SIGTERM',
        signal: 'SIGTERM',
        budgetMs: 30_000,
        waves: [
          { atMs: 5, instances: ['api:0', 'api:1'] },
          { atMs: 300, instances: ['db:0'] },
        ],
        verdict: 'clean',
      },
    ]);
  });

  test('of one whose beginning is not in the records any more, its length leads back to it', () => {
    expect(episodesOf(journal(SHUTDOWN[3]))).toMatchObject([
      { at: BEGIN, axisMs: BEGIN, isWhole: false, ms: 700, signal: null, budgetMs: null, verdict: 'clean' },
    ]);
  });

  test('one that never ended is lost when the next begins; one that ended is not', () => {
    const second = { ...SHUTDOWN[0], ms: 9_000 };
    expect(episodesOf(journal(SHUTDOWN[0], SHUTDOWN[1], second))).toMatchObject([
      { isLost: true, ms: null, waves: [{ atMs: 5 }] },
      { isLost: false, axisMs: BEGIN + 9_000 },
    ]);
    expect(episodesOf(journal(...SHUTDOWN, second))).toMatchObject([{ isLost: false, ms: 700 }, { isLost: false }]);
  });
});
