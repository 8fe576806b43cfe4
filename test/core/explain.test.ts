import { describe, expect, test } from 'vitest';
import { clueOf } from '../../src/core/exit-words.ts';
import { endedRun, explain, type WhyFacts } from '../../src/core/explain.ts';
import { type Cause, type EndFacts, explainEnd } from '../../src/core/explain-end.ts';
import { NO_FINDING, type OomFinding } from '../../src/core/oom.ts';
import type { LastExit } from '../../src/core/state.ts';
import { FRESH, type InstanceState } from '../../src/core/state.ts';
import { type Moment, runsOf } from '../../src/core/story.ts';
import { type SpecOverrides, serviceSpec } from '../kit/spec.ts';

const PID = 812;
type Told = Partial<Moment> & Pick<Moment, 'phase'>;

/** Records of one instance, a millisecond apart unless they say when. */
const moments = (...told: readonly Told[]): readonly Moment[] =>
  told.map((one, index) => ({ at: 1_000 + index, ...(NAMELESS.has(one.phase) ? {} : { pid: PID }), ...one }));
const NAMELESS = new Set(['backoff', 'failed', 'app-phase', 'rolling-aborted', 'rolling-completed']);

type Given = {
  readonly stderr?: string[];
  readonly isNode?: boolean;
  readonly spec?: SpecOverrides;
  readonly holder?: EndFacts['holder'];
};

const SPAWNED: Told = { phase: 'spawned', command: 'server' };
const ASKED: Told = { phase: 'stop-requested', reason: 'gsup stop', graceMs: 10_000 };
const SIGNALLED: Told = { phase: 'signal-sent', signal: 'SIGTERM', graceMs: 10_000 };
const exited = (
  exitCode: number | null,
  exitSignal: Moment['exitSignal'] = null,
  rest: Partial<Moment> = {},
): Told => ({
  phase: 'exited',
  exitCode,
  exitSignal,
  elapsedMs: 1_200,
  ...rest,
});
const stopped = (elapsedMs: number): Told => ({ phase: 'stopped', verdict: 'clean', elapsedMs, graceMs: 10_000 });
const oom = (finding: Partial<OomFinding>): Told => ({ phase: 'oom-checked', oom: { ...NO_FINDING, ...finding } });

/** The cause of the last end that these records tell. */
function endOf(told: readonly Told[], { stderr = [], isNode = false, spec = {}, holder = null }: Given = {}): Cause {
  const run = runsOf(moments(...told)).at(-1);
  if (run === undefined) throw new Error('no run');
  return explainEnd({ service: 'api', instance: 'api:0', run, spec: serviceSpec(spec), stderr, isNode, holder });
}

const LIMIT = 64 * 1024 ** 2;
const NODE_TRACE = [
  'Error: listen EADDRINUSE: address already in use :::3000',
  "  code: 'EADDRINUSE',",
  '  port: 3000',
  '}',
];

type Row = readonly [what: string, told: readonly Told[], kind: string, sentence: string, given?: Given];
const ENDS: readonly Row[] = [
  [
    'a clean stop',
    [SPAWNED, ASKED, SIGNALLED, exited(0), stopped(1_200)],
    'stopped',
    'gsup stop stopped it: SIGTERM, exit 0 after 1.2s of 10s',
  ],
  [
    'a stop by the very signal',
    [SPAWNED, ASKED, SIGNALLED, exited(null, 'SIGTERM'), stopped(5)],
    'stopped',
    'gsup stop stopped it: SIGTERM ended it after 5ms of 10s',
  ],
  [
    'a stop by a message',
    [SPAWNED, ASKED, { ...SIGNALLED, signal: 'message' }, exited(0), stopped(50)],
    'stopped',
    "gsup stop stopped it: the message 'shutdown', exit 0 after 50ms of 10s",
  ],
  [
    'a shutdown',
    [SPAWNED, { ...ASKED, reason: 'SIGTERM' }, SIGNALLED, exited(0), stopped(50)],
    'stopped',
    'the shutdown of gsup (SIGTERM) stopped it: SIGTERM, exit 0 after 50ms of 10s',
  ],
  [
    'a watched file',
    [SPAWNED, { ...ASKED, reason: 'src/a.js has changed' }, SIGNALLED, exited(0), stopped(50)],
    'stopped',
    'watch (src/a.js has changed) stopped it: SIGTERM, exit 0 after 50ms of 10s',
  ],
  [
    'a schedule',
    [SPAWNED, { ...ASKED, reason: 'schedule 0 3 * * *' }, SIGNALLED, exited(0), stopped(50)],
    'stopped',
    'its schedule (0 3 * * *) stopped it: SIGTERM, exit 0 after 50ms of 10s',
  ],
  [
    'SIGKILL from outside in the middle of a stop',
    [SPAWNED, ASKED, SIGNALLED, exited(null, 'SIGKILL'), stopped(50)],
    'outside',
    'gsup stop was stopping it when it was killed by SIGKILL, which gsup did not send',
  ],
  [
    'a grace that was over',
    [
      SPAWNED,
      ASKED,
      SIGNALLED,
      { phase: 'kill-sent', graceMs: 10_000, reason: 'grace period over' },
      exited(null, 'SIGKILL'),
    ],
    'grace-over',
    'gsup killed it: it was still there when its grace of 10s was over (asked by gsup stop)',
  ],
  [
    'a grace that was over, of an app that says what it does',
    [
      SPAWNED,
      ASKED,
      SIGNALLED,
      { phase: 'app-phase', appPhase: 'closing' },
      {
        phase: 'kill-sent',
        graceMs: 10_000,
        reason: 'grace period over',
        appPhase: 'closing',
        pending: { hooks: ['db'], requests: 0 },
      },
      exited(null, 'SIGKILL'),
    ],
    'grace-over',
    'gsup killed it: it was still there when its grace of 10s was over (asked by gsup stop); it was at: closing, pending hooks db',
  ],
  [
    'a second SIGINT',
    [
      SPAWNED,
      ASKED,
      SIGNALLED,
      { phase: 'kill-sent', graceMs: 10_000, reason: 'cut short by a second SIGINT' },
      exited(null, 'SIGKILL'),
    ],
    'cut-short',
    'gsup killed it: cut short by a second SIGINT (asked by gsup stop)',
  ],
  [
    'a survivor',
    [
      SPAWNED,
      ASKED,
      SIGNALLED,
      exited(0),
      { phase: 'survivors-killed', graceMs: 10_000, survivors: [{ pid: 9, command: 'sleep 1' }] },
      stopped(10_000),
    ],
    'survivors-killed',
    'a process of it outlived it and the grace of 10s, and gsup killed it (asked by gsup stop)',
  ],
  [
    'memory above its limit',
    [SPAWNED, { ...ASKED, reason: 'memory 310MiB is above its limit of 300MiB' }, SIGNALLED, exited(0), stopped(9)],
    'memory-limit',
    'gsup restarted it: its memory 310MiB is above its limit of 300MiB',
  ],
  [
    'liveness',
    [
      SPAWNED,
      { phase: 'unhealthy', attempt: 3, limit: 3, reason: 'HTTP 500' },
      { ...ASKED, reason: 'liveness: HTTP 500' },
      SIGNALLED,
      exited(0),
      stopped(9),
    ],
    'unhealthy',
    'gsup ended it: its liveness check failed 3 of 3 times in a row: HTTP 500',
  ],
  [
    'not ready',
    [
      SPAWNED,
      { phase: 'ready-timeout', elapsedMs: 2_010, reason: 'tcp: ECONNREFUSED' },
      { ...ASKED, reason: 'not ready within 2s: ECONNREFUSED' },
      SIGNALLED,
      exited(0),
      stopped(9),
    ],
    'not-ready',
    'it was not ready within 2s, so gsup ended it; its check (tcp) said: ECONNREFUSED',
  ],
  [
    'not ready, and nothing was said',
    [
      SPAWNED,
      { phase: 'ready-timeout', elapsedMs: 2_010, reason: 'message' },
      { ...ASKED, reason: 'not ready within 2s' },
      SIGNALLED,
      exited(0),
      stopped(9),
    ],
    'not-ready',
    'it was not ready within 2s, so gsup ended it; its check (message) said nothing',
  ],
  [
    'SIGKILL from outside, no OOM',
    [SPAWNED, exited(null, 'SIGKILL'), oom({ verdict: 'no', source: 'machine' })],
    'outside',
    "SIGKILL ended it after 1.2s, and gsup did not send it; it was not the kernel's OOM killer, which has ended nothing meanwhile",
  ],
  [
    'SIGKILL from outside, nothing known',
    [SPAWNED, exited(null, 'SIGKILL'), oom({})],
    'outside',
    "SIGKILL ended it after 1.2s, and gsup did not send it; the kernel's log can't be read here, so whether memory ran out is not known",
  ],
  [
    'SIGKILL from outside, somebody was OOM-killed',
    [SPAWNED, exited(null, 'SIGKILL'), oom({ source: 'machine', kills: 2 })],
    'outside',
    "SIGKILL ended it after 1.2s, and gsup did not send it; the kernel's OOM killer has ended 2 processes of this machine meanwhile; whether this one, is not known",
  ],
  [
    'SIGKILL from outside, not looked at',
    [SPAWNED, exited(null, 'SIGKILL')],
    'outside',
    'SIGKILL ended it after 1.2s, and gsup did not send it; whether memory ran out was not looked at',
  ],
  [
    'the OOM killer, by the log',
    [
      SPAWNED,
      exited(null, 'SIGKILL'),
      oom({
        verdict: 'yes',
        source: 'kernel-log',
        cgroup: '/app',
        limitBytes: LIMIT,
        residentBytes: LIMIT - 1024 ** 2,
      }),
    ],
    'oom',
    "the kernel's OOM killer ended it after 1.2s: the memory of cgroup /app (limit 64MiB) ran out; it had 63MiB itself",
  ],
  [
    'the OOM killer, of the machine',
    [SPAWNED, exited(null, 'SIGKILL'), oom({ verdict: 'yes', source: 'kernel-log' })],
    'oom',
    "the kernel's OOM killer ended it after 1.2s: the memory of this machine ran out",
  ],
  [
    'the OOM killer, most likely',
    [SPAWNED, exited(null, 'SIGKILL'), oom({ verdict: 'likely', source: 'cgroup', cgroup: '/pod' })],
    'oom',
    "SIGKILL ended it after 1.2s, and gsup did not send it; it was most likely the kernel's OOM killer: the cgroup /pod counts a kill, and it was in it",
  ],
  [
    'SIGTERM from outside',
    [SPAWNED, exited(null, 'SIGTERM')],
    'outside',
    'SIGTERM ended it after 1.2s, and gsup did not send it: somebody else did, or it did itself',
  ],
  [
    'gsup signal',
    [SPAWNED, exited(null, 'SIGTERM', { reason: 'by a signal that gsup passed on' })],
    'passed-on',
    'SIGTERM, which gsup passed on to it (gsup signal), ended it after 1.2s',
  ],
  [
    'a segmentation fault',
    [SPAWNED, exited(null, 'SIGSEGV')],
    'crashed',
    'it crashed after 1.2s: SIGSEGV, it used memory that is not its own',
  ],
  [
    'a full heap',
    [SPAWNED, exited(null, 'SIGABRT')],
    'heap-full',
    "it crashed after 1.2s: its heap was full: it reached its own limit of memory, not the machine's (SIGABRT)",
    { stderr: ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory', ' 1: 0xb'] },
  ],
  ['exit 1', [SPAWNED, exited(1)], 'exited', 'it ended by itself after 1.2s with exit 1'],
  [
    'exit 1 before it was ready',
    [SPAWNED, exited(1)],
    'exited',
    'it ended by itself after 1.2s with exit 1, before it was ready',
    { spec: { ready: { check: { kind: 'message' } } } },
  ],
  ['exit 0', [SPAWNED, exited(0)], 'completed', 'it ended by itself after 1.2s with exit 0'],
  [
    'exit 127',
    [SPAWNED, exited(127)],
    'exited',
    'it ended by itself after 1.2s with exit 127: a shell ends so when it does not find the program',
  ],
  [
    'exit 126',
    [SPAWNED, exited(126)],
    'exited',
    'it ended by itself after 1.2s with exit 126: a shell ends so when a program is there and cannot be executed',
  ],
  [
    'exit 137',
    [SPAWNED, exited(137)],
    'exited',
    'it ended by itself after 1.2s with exit 137: that is 128 + 9, so what it ran died of SIGKILL, as the OOM killer and "kill -9" do it',
  ],
  [
    'exit 143',
    [SPAWNED, exited(143)],
    'exited',
    'it ended by itself after 1.2s with exit 143: that is 128 + 15, so what it ran died of SIGTERM',
  ],
  [
    'exit 139',
    [SPAWNED, exited(139)],
    'exited',
    'it ended by itself after 1.2s with exit 139: that is 128 + 11, so what it ran died of SIGSEGV (it used memory that is not its own)',
  ],
  [
    "Node's 13",
    [SPAWNED, exited(13)],
    'exited',
    'it ended by itself after 1.2s with exit 13: Node ends so when a top-level await never settles: nothing was left to wait for',
    { isNode: true },
  ],
  ['13 of anything else', [SPAWNED, exited(13)], 'exited', 'it ended by itself after 1.2s with exit 13'],
  [
    'a module that is missing',
    [SPAWNED, exited(1)],
    'module-missing',
    'it ended by itself after 1.2s with exit 1: it could not find the module express',
    { stderr: ["Error: Cannot find module 'express'", 'Require stack:'] },
  ],
  [
    'a module of Python that is missing',
    [SPAWNED, exited(1)],
    'module-missing',
    'it ended by itself after 1.2s with exit 1: it could not find the module flask',
    { stderr: ["ModuleNotFoundError: No module named 'flask'"] },
  ],
  [
    'a port that somebody has',
    [SPAWNED, exited(1)],
    'port-held',
    'it ended by itself after 1.2s with exit 1: port 3000 was taken by another process',
    { stderr: NODE_TRACE },
  ],
  [
    'an address that somebody has',
    [SPAWNED, exited(1)],
    'port-held',
    'it ended by itself after 1.2s with exit 1: an address that it listens on was taken by another process',
    { stderr: ['OSError: [Errno 98] Address already in use'] },
  ],
  [
    'code that is none',
    [SPAWNED, exited(1)],
    'syntax',
    "it ended by itself after 1.2s with exit 1: its code can't be read: Unexpected token '}'",
    { stderr: ["SyntaxError: Unexpected token '}'"] },
  ],
  [
    'an end that nobody saw',
    [SPAWNED, exited(null)],
    'unknown',
    'it ended when no daemon watched: how, nobody was there to be told',
  ],
  [
    'a program that is not there',
    [{ phase: 'failed', reason: 'cannot find the program x in PATH' }],
    'not-started',
    'it could not be started: cannot find the program x in PATH',
  ],
  [
    'a dependency that failed',
    [{ phase: 'failed', reason: 'it depends on db, which did not get ready' }],
    'dependency-failed',
    'it was not started: it depends on db, which did not get ready',
  ],
  [
    'the restart limit',
    [
      SPAWNED,
      exited(1, null, { at: 5_000 }),
      { phase: 'failed', at: 5_000, reason: 'exit 1, restarted 10x in 2.5s (restart limit)' },
    ],
    'restart-limit',
    'given up after 10 restarts in 2.5s (restart.limit is 10 in 1m); the last end: it ended by itself after 1.2s with exit 1',
  ],
  [
    'a process that SIGKILL does not end',
    [
      SPAWNED,
      ASKED,
      SIGNALLED,
      { phase: 'kill-sent', graceMs: 10_000 },
      { phase: 'stuck', reason: 'process 812 did not die of SIGKILL' },
    ],
    'stuck',
    "process 812 did not die of SIGKILL: the kernel can't end it while it waits for a device or a network file system",
  ],
];

test.each<[string, Row]>(ENDS.map((row) => [row[0], row]))('an end: %s', (_what, [, told, kind, sentence, given]) => {
  const cause = endOf(told, given);
  expect(cause.sentence).toBe(sentence);
  expect(cause.kind).toBe(kind);
});

describe('the next step', () => {
  const nextOf = (told: readonly Told[], given?: Given) => endOf(told, given).next;

  test('of a port that somebody has is to end the one who has it now', () => {
    const holder = { pid: 4711, command: 'node old.js' };
    const cause = endOf([SPAWNED, exited(1)], { stderr: NODE_TRACE, holder });
    expect(cause.facts).toEqual(['it is held by pid 4711 (node old.js)']);
    expect(cause.next).toBe('kill 4711, or give api another port');
    expect(nextOf([SPAWNED, exited(1)], { stderr: NODE_TRACE })).toBe('gsup restart api');
  });

  test('of a clean stop is none', () => {
    expect(nextOf([SPAWNED, ASKED, SIGNALLED, exited(0), stopped(9)])).toBe(null);
  });

  test('of a grace that was over tells an app that works on from one that says nothing', () => {
    const kill: Told = { phase: 'kill-sent', graceMs: 10_000, reason: 'grace period over' };
    expect(nextOf([SPAWNED, ASKED, SIGNALLED, kill, exited(null, 'SIGKILL')])).toBe(
      'let api end when it gets SIGTERM, or raise stop.grace above 10s if it only needs longer',
    );
    const says: Told = { phase: 'app-phase', appPhase: 'closing' };
    expect(nextOf([SPAWNED, ASKED, SIGNALLED, says, kill, exited(null, 'SIGKILL')])).toBe(
      'let that end sooner, or raise stop.grace of api above 10s',
    );
  });

  test('of a failed start that names who is in the way is the command that ends it', () => {
    const reason =
      'cannot listen on 127.0.0.1:80: it is held by pid 9 (x); stop it, with "kill 9" say, or take another port';
    expect(nextOf([{ phase: 'failed', reason }])).toBe('kill 9');
  });
});

const LIFE = { ...FRESH, run: 2 };
const RUNNING: InstanceState = { ...LIFE, name: 'running', pid: 900, startedAt: 9_000, forwarded: [] };

function whyOf(state: InstanceState, told: readonly Told[], rest: Partial<WhyFacts> = {}): Cause {
  return explain({
    service: 'api',
    instance: 'api:0',
    now: 10_000,
    state,
    spec: serviceSpec(),
    waitingFor: [],
    runs: runsOf(moments(...told)),
    aborted: null,
    stderr: [],
    holder: null,
    isNode: false,
    isDeaf: null,
    ...rest,
  });
}

describe('the whole', () => {
  test('what runs and never ended says since when and by whom', () => {
    const told: Told[] = [{ ...SPAWNED, pid: 900, reason: 'gsup start' }];
    expect(whyOf(RUNNING, told)).toEqual({
      kind: 'running',
      sentence: 'it has run for 1s, started by gsup start',
      facts: [],
      next: null,
    });
  });

  test('what runs again says how the run before it ended', () => {
    const told: Told[] = [
      SPAWNED,
      exited(1, null, { at: 8_000 }),
      { phase: 'backoff', at: 8_000, reason: 'exit 1' },
      { ...SPAWNED, pid: 900 },
    ];
    const { kind, sentence, next } = whyOf(RUNNING, told);
    expect(sentence).toBe(
      'it has run for 1s; the run before it ended 2s ago: it ended by itself after 1.2s with exit 1',
    );
    expect([kind, next]).toEqual(['exited', 'gsup logs api:0 -n 100']);
  });

  test('a rolling restart that was given up is told with the end of what was to come', () => {
    const told: Told[] = [
      { ...SPAWNED, pid: 900 },
      { ...SPAWNED, pid: 901 },
      { ...exited(1), pid: 901, at: 9_500 },
    ];
    const aborted: Moment = { phase: 'rolling-aborted', at: 9_600, reason: 'exit 1 before it was ready' };
    expect(whyOf(RUNNING, told, { aborted }).sentence).toBe(
      'it has run for 1s; the last rolling restart was given up 400ms ago, and what served before goes on: it ended by itself after 1.2s with exit 1',
    );
  });

  test('what stops says at which rung, how long it still has, and what it says itself', () => {
    const state: InstanceState = {
      ...LIFE,
      name: 'stopping',
      pid: 900,
      startedAt: 0,
      forwarded: [],
      rung: 'signal-sent',
      isAsked: true,
      askedAt: 9_000,
      reason: 'gsup stop',
      stop: serviceSpec().stop,
      signal: 'SIGTERM',
      signalledAt: 9_000,
      deadline: 19_000,
      latest: null,
      appSays: { appPhase: 'closing', pending: { hooks: ['db'] } },
      exit: null,
      survivors: [],
      hasKilled: false,
      isForced: false,
      next: 'stopped',
      failure: null,
      isFinal: false,
    };
    expect(whyOf(state, [], { isDeaf: true })).toEqual({
      kind: 'stopping',
      sentence: 'it is being stopped (gsup stop): signal-sent, SIGKILL in 9s; it says: closing, pending hooks db',
      facts: ['it ignores SIGTERM, as /proc/900/status says'],
      next: 'set stop.signal to one that it knows; now: gsup signal SIGKILL api:0',
    });
  });

  test('what waits for others names them', () => {
    const spec = serviceSpec({ dependsOn: { db: 'ready' } });
    expect(whyOf(FRESH, [], { waitingFor: ['db'], spec })).toEqual({
      kind: 'waiting',
      sentence: 'it waits for db (ready), on which api depends',
      facts: [],
      next: 'gsup why db',
    });
  });

  test('what was never started says so', () => {
    expect(whyOf(FRESH, [])).toMatchObject({ kind: 'never-started', next: 'gsup start api' });
  });

  test('a stop while it waits for its next try keeps what it waited for', () => {
    const told: Told[] = [
      SPAWNED,
      exited(1, null, { at: 5_000 }),
      { phase: 'backoff', at: 5_000, reason: 'exit 1' },
      { ...ASKED, pid: null, at: 6_000 },
      { phase: 'stopped', pid: null, at: 6_000 },
    ];
    expect(whyOf({ ...LIFE, name: 'stopped' }, told).sentence).toBe(
      'gsup stop stopped it while it waited for its next try, after this: exit 1',
    );
  });

  const kept: readonly (readonly [LastExit, string])[] = [
    [{ code: 1, signal: null, by: 'self', at: 1 }, 'it ended by itself with exit 1'],
    [{ code: null, signal: 'SIGTERM', by: 'gsup', at: 1 }, 'gsup stopped it: SIGTERM ended it'],
    [{ code: null, signal: 'SIGKILL', by: 'oom', at: 1 }, "the kernel's OOM killer ended it: memory ran out"],
    [{ code: null, signal: 'SIGHUP', by: 'outside', at: 1 }, 'SIGHUP ended it; who sent it is not recorded any more'],
  ];
  test.each(kept)('when the journal is gone, what the state has kept is told: %o', (lastExit, sentence) => {
    expect(whyOf({ ...LIFE, name: 'stopped', lastExit }, []).sentence).toBe(sentence);
  });
});

describe('the runs that records tell of', () => {
  test('two that overlap in a rolling restart are told apart by their pids', () => {
    const told: Told[] = [
      { ...SPAWNED, pid: 1 },
      { ...SPAWNED, pid: 2 },
      { ...ASKED, pid: 1 },
      { phase: 'app-phase', appPhase: 'closing' },
      { ...exited(0), pid: 1 },
    ];
    const [old, fresh] = runsOf(moments(...told));
    expect(old?.appPhases).toHaveLength(1);
    expect(fresh?.told).not.toHaveProperty('exited');
  });

  test('a start that fails after a stop is a try of its own', () => {
    const told: Told[] = [
      SPAWNED,
      ASKED,
      SIGNALLED,
      exited(0, null, { at: 2_000 }),
      { ...stopped(9), at: 2_010 },
      { phase: 'failed', at: 3_000, reason: 'cannot find x' },
    ];
    const runs = runsOf(moments(...told));
    expect(runs).toHaveLength(2);
    expect(endedRun(runs, { ...LIFE, name: 'stopped' })?.pid).toBe(null);
  });
});
test.each([
  ['kernel-log', "the kernel's log names it"],
  ['cgroup', 'its cgroup counts the kill (memory.events)'],
] as const)('an OOM kill says what tells it: %s', (source, fact) => {
  expect(endOf([SPAWNED, exited(null, 'SIGKILL'), oom({ verdict: 'yes', source })]).facts).toEqual([fact]);
});

test('lines that were written to be searched for ever are not', () => {
  const began = performance.now();
  for (const piece of ['ENOENT ', 'EADDRINUSE :1 ', "EACCES 'a", "No module named '", ':12345 '])
    clueOf(Array.from({ length: 20 }, () => piece.repeat(20_000)));
  expect(performance.now() - began).toBeLessThan(2_000);
});
