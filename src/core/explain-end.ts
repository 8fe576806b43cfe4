/** How and why one run came to its end; pure. */
import { formatDuration } from './duration.ts';
import { clueOf, codeWords, faultWords } from './exit-words.ts';
import { heapStep, logStep, stepOf } from './next-step.ts';
import { describeOom, NO_FINDING, ranOut } from './oom.ts';
import { appPhaseRecord, describeExit, type PhaseRecord, recordMessage } from './record.ts';
import type { ServiceSpec } from './service.ts';
import type { RunStory } from './story.ts';

/** `kind` is for programs, the rest for people. */
export type Cause = {
  readonly kind: string;
  readonly sentence: string;
  readonly facts: readonly string[];
  /** One command or change; `null`: nothing is to be done. */
  readonly next: string | null;
};

export type EndFacts = {
  readonly service: string;
  readonly instance: string;
  readonly run: RunStory;
  readonly spec: ServiceSpec;
  /** The last lines before the end. */
  readonly stderr: readonly string[];
  /** Who has the port that it could not get; `null`: nobody now, or it is not known. */
  readonly holder: { readonly pid: number; readonly command: string } | null;
  readonly isNode: boolean;
};

/** In place of a pid, of a run whose records are gone: only what the state has kept is known. */
export const FORGOTTEN = 0;

/** The first that applies; the last always does. */
export function explainEnd(facts: EndFacts): Cause {
  const end =
    notStarted(facts) ??
    stuck(facts) ??
    notReady(facts) ??
    unhealthy(facts) ??
    killedByGsup(facts) ??
    overMemory(facts) ??
    stopped(facts) ??
    fromOutside(facts) ??
    byItself(facts);
  return withVerdict(facts, end);
}

/** Given up by the restart limit, or not tried again: that is the cause, and the end its fact. */
function withVerdict({ run, service, spec }: EndFacts, end: Cause): Cause {
  const failed = run.told.failed?.reason ?? '';
  const limit = /restarted (\d+)x in (\S+) \(restart limit\)/.exec(failed);
  if (limit !== null) {
    const { restart } = spec;
    const { sentence, facts, next } = end;
    return {
      kind: 'restart-limit',
      sentence: `given up after ${limit[1]} restarts in ${limit[2]} (restart.limit is ${restart.limit} in ${formatDuration(restart.windowMs)}); the last end: ${sentence}`,
      facts,
      next: next ?? `mend what ends it, then: gsup start ${service}`,
    };
  }
  if (!failed.endsWith(', restart policy never')) return end;
  return { ...end, facts: [...end.facts, 'it is not started again: restart.policy is never'] };
}

function notStarted({ run, service }: EndFacts): Cause | null {
  if (run.pid !== null) return null;
  const reason = (run.told.failed ?? run.told.backoff)?.reason;
  if (reason === undefined) return endUnknown();
  const why = reason.replace(/, restart policy never$/, '');
  if (/^it depends on /.test(why))
    return {
      kind: 'dependency-failed',
      sentence: `it was not started: ${why}`,
      facts: [],
      next: `gsup why ${/^it depends on (\S+?),/.exec(why)?.[1] ?? service}`,
    };
  const killable = /"(kill \d+)"/.exec(why)?.[1];
  return {
    kind: 'not-started',
    sentence: `it could not be started: ${why}`,
    facts: [],
    next: killable ?? `mend that (gsup show ${service} has command and folder), then: gsup start ${service}`,
  };
}

function stuck({ run }: EndFacts): Cause | null {
  const { stuck: told } = run.told;
  if (told === undefined || run.told.exited !== undefined) return null;
  return {
    kind: 'stuck',
    sentence: `${told.reason}: the kernel can't end it while it waits for a device or a network file system`,
    facts: [],
    next: `cat /proc/${run.pid}/stack /proc/${run.pid}/wchan`,
  };
}

function notReady({ run, service, instance }: EndFacts): Cause | null {
  const told = run.told['ready-timeout'];
  if (told === undefined) return null;
  const [, waited = formatDuration(told.elapsedMs ?? 0)] =
    /^not ready within ([^:]+)/.exec(run.told['stop-requested']?.reason ?? '') ?? [];
  const [kind = 'no check', ...says] = (told.reason ?? '').split(': ');
  return {
    kind: 'not-ready',
    sentence: `it was not ready within ${waited}, so gsup ended it; its check (${kind}) ${says.length === 0 ? 'said nothing' : `said: ${says.join(': ')}`}`,
    facts: killFacts(run),
    next: `gsup logs ${instance} -n 100; if it is only slow, raise ready.timeout of ${service} above ${waited}`,
  };
}

function unhealthy({ run, instance }: EndFacts): Cause | null {
  const reason = run.told['stop-requested']?.reason ?? '';
  if (!reason.startsWith('liveness: ')) return null;
  const { attempt, limit } = run.told.unhealthy ?? {};
  const times = attempt === undefined ? '' : ` ${attempt} of ${limit} times in a row`;
  return {
    kind: 'unhealthy',
    sentence: `gsup ended it: its liveness check failed${times}: ${reason.slice('liveness: '.length)}`,
    facts: killFacts(run),
    next: `gsup logs ${instance} -n 100`,
  };
}

/** SIGKILL by us: for the leader at the end of its grace, or for what outlived it. */
function killedByGsup(facts: EndFacts): Cause | null {
  const { run, spec, service } = facts;
  const { 'kill-sent': kill, 'survivors-killed': survivors, 'stop-requested': asked } = run.told;
  if (kill === undefined && survivors === undefined) return null;
  const by = asked === undefined ? 'it had ended by itself' : `asked by ${askedBy(asked.reason ?? '')}`;
  const grace = formatDuration(kill?.graceMs ?? survivors?.graceMs ?? spec.stop.graceMs);
  if (kill === undefined) {
    const count = survivors?.survivors?.length ?? 0;
    const left = `${count === 1 ? 'a process' : `${count} processes`} of it outlived it and the grace of ${grace}`;
    return {
      kind: 'survivors-killed',
      sentence: `${left}, and gsup killed ${count === 1 ? 'it' : 'them'} (${by})`,
      facts: killFacts(run),
      next: `let ${service} end its children before itself`,
    };
  }
  const atPhase = kill.appPhase === undefined ? '' : `; it was at: ${recordMessage(appPhaseRecord(kill2phase(kill)))}`;
  const isShort = kill.reason !== 'grace period over';
  return {
    kind: isShort ? 'cut-short' : 'grace-over',
    sentence: isShort
      ? `gsup killed it: ${kill.reason} (${by})${atPhase}`
      : `gsup killed it: it was still there when its grace of ${grace} was over (${by})${atPhase}`,
    facts: killFacts(run),
    next: isShort ? null : graceStep(facts, grace),
  };
}

function kill2phase({ appPhase, pending }: PhaseRecord): Parameters<typeof appPhaseRecord>[0] {
  return { ...(appPhase === undefined ? {} : { appPhase }), pending: pending ?? null };
}

/** An app that says what it does needs longer; of one that says nothing it is not known whether it heard. */
function graceStep({ run, service }: EndFacts, grace: string): string {
  const signal = run.told['signal-sent']?.signal ?? 'SIGTERM';
  if (run.appPhases.length > 0) return `let that end sooner, or raise stop.grace of ${service} above ${grace}`;
  return `let ${service} end when it gets ${signal === 'message' ? "the message 'shutdown'" : signal}, or raise stop.grace above ${grace} if it only needs longer`;
}

function overMemory({ run, spec, service }: EndFacts): Cause | null {
  const reason = run.told['stop-requested']?.reason ?? '';
  if (!/^memory .* is above its limit of /.test(reason)) return null;
  return {
    kind: 'memory-limit',
    sentence: `gsup restarted it: its ${reason}`,
    facts: stopFacts(run),
    next: `look for a leak in ${service}, or raise limits.memory above ${spec.memoryLimitBytes === null ? 'that' : (/limit of (\S+)/.exec(reason)?.[1] ?? 'that')}`,
  };
}

/** It was asked to, and it went. */
function stopped({ run, service }: EndFacts): Cause | null {
  const { 'stop-requested': asked, exited, stopped: told } = run.told;
  if (asked === undefined) return null;
  const by = askedBy(asked.reason ?? '');
  const before = (run.told.backoff ?? run.told.failed)?.reason;
  if (asked.pid == null)
    return {
      kind: 'stopped',
      sentence: `${by} stopped it while it waited for its next try${before === undefined ? '' : `, after this: ${before}`}`,
      facts: [],
      next: null,
    };
  const signal = run.told['signal-sent']?.signal;
  if (exited?.reason !== undefined)
    return {
      kind: 'passed-on',
      sentence: `${exited.exitSignal}, which gsup passed on to it (gsup signal), ended it while ${by} was stopping it`,
      facts: killFacts(run),
      next: null,
    };
  const isOurs = exited?.exitSignal == null || exited.exitSignal === signal;
  const took =
    told?.elapsedMs === undefined
      ? ''
      : ` after ${formatDuration(told.elapsedMs)} of ${formatDuration(told.graceMs ?? 0)}`;
  if (!isOurs && exited !== undefined)
    return {
      kind: 'outside',
      sentence: `${by} was stopping it when it was ${exitWords(exited)}, which gsup did not send`,
      facts: oomFacts(run),
      next: null,
    };
  const undone = undoneOf(run);
  const left = undone.length === 0 ? '' : `; it left undone: ${undone.join(', ')}`;
  return {
    kind: undone.length === 0 ? 'stopped' : 'left-undone',
    sentence: `${by} stopped it: ${wayDown(signal, exited)}${took}${left}`,
    facts: undone.length === 0 ? stopFacts(run) : killFacts(run),
    next:
      undone.length === 0
        ? null
        : `let that end sooner, or raise stop.grace of ${service} above ${formatDuration(told?.graceMs ?? 0)}`,
  };
}

/** What an app with gsup/app could not end in its time, by its own report. */
function undoneOf(run: RunStory): readonly string[] {
  const report = run.appPhases.findLast(({ appPhase }) => appPhase === 'report');
  const undone = report?.pending?.['undone'];
  return Array.isArray(undone) ? undone.filter((one) => typeof one === 'string') : [];
}

/** `SIGTERM, exit 0`, `SIGTERM ended it`. */
function wayDown(signal: PhaseRecord['signal'], exited: PhaseRecord | undefined): string {
  if (signal === undefined) return exitWords(exited);
  if (exited?.exitSignal === signal) return `${signal} ended it`;
  return `${signal === 'message' ? "the message 'shutdown'" : signal}, ${exitWords(exited)}`;
}

/** A signal that gsup did not send. */
function fromOutside(facts: EndFacts): Cause | null {
  const { run, instance, stderr } = facts;
  const { exited } = run.told;
  const signal = exited?.exitSignal;
  if (exited === undefined || signal == null) return null;
  const ran = ranFor(exited);
  if (run.pid === FORGOTTEN && signal !== 'SIGKILL' && faultWords(signal) === null)
    return {
      kind: 'outside',
      sentence: `${signal} ended it; who sent it is not recorded any more`,
      facts: [],
      next: null,
    };
  if (exited.reason !== undefined)
    return {
      kind: 'passed-on',
      sentence: `${signal}, which gsup passed on to it (gsup signal), ended it${ran}`,
      facts: [],
      next: null,
    };
  const clue = clueOf(stderr);
  const fault = faultWords(signal);
  if (clue?.kind === 'heap-full' && signal !== 'SIGKILL')
    return {
      kind: 'heap-full',
      sentence: `it crashed${ran}: ${clue.words} (${signal})`,
      facts: [],
      next: heapStep(facts),
    };
  if (fault !== null)
    return {
      kind: 'crashed',
      sentence: `it crashed${ran}: ${signal}, ${fault}`,
      facts: [],
      next: logStep(facts),
    };
  if (signal === 'SIGKILL') return bySigkill(facts, ran);
  return {
    kind: 'outside',
    sentence: `${signal} ended it${ran}, and gsup did not send it: somebody else did, or it did itself`,
    facts: [],
    next: `look for who sends ${signal} to ${instance}: a script with "kill", another supervisor, its own code`,
  };
}

function bySigkill({ run, service, instance }: EndFacts, ran: string): Cause {
  if (run.pid === FORGOTTEN && run.told['oom-checked'] === undefined)
    return {
      kind: 'outside',
      sentence: 'SIGKILL ended it; who sent it is not recorded any more',
      facts: [],
      next: null,
    };
  const told = run.told['oom-checked'];
  const oom = told?.oom ?? NO_FINDING;
  if (oom.verdict === 'yes')
    return {
      kind: 'oom',
      sentence: `the kernel's OOM killer ended it${ran}: ${ranOut(oom)}`,
      facts: [oom.source === 'kernel-log' ? "the kernel's log names it" : 'its cgroup counts the kill (memory.events)'],
      next: `give ${service} more memory, or set limits.memory below what it may have: gsup then restarts it in time`,
    };
  return {
    kind: oom.verdict === 'likely' ? 'oom' : 'outside',
    sentence: `SIGKILL ended it${ran}, and gsup did not send it; ${told === undefined ? 'whether memory ran out was not looked at' : describeOom(oom)}`,
    facts: [],
    next:
      oom.verdict === 'likely'
        ? `give the cgroup of ${service} more memory, or set limits.memory`
        : `look for who kills ${instance}: "kill -9" in a script, systemd-oomd, a container runtime`,
  };
}

function byItself(facts: EndFacts): Cause {
  const { run, stderr, isNode, spec } = facts;
  const { exited } = run.told;
  if (exited === undefined || exited.exitCode == null) return endUnknown();
  const code = exited.exitCode;
  const isGood = spec.restart.successExitCodes.includes(code);
  const early = run.told.ready === undefined && spec.ready !== null && !isGood ? ', before it was ready' : '';
  const words = codeWords(code, isNode);
  const clue = isGood ? null : clueOf(stderr);
  const why = clue?.words ?? words;
  return {
    kind: isGood ? 'completed' : (clue?.kind ?? 'exited'),
    sentence: `it ended by itself${ranFor(exited)} with exit ${code}${early}${why == null ? '' : `: ${why}`}`,
    facts: [...holderFacts(facts, clue?.kind), ...killFacts(run)],
    next: isGood ? null : stepOf(facts, clue?.kind ?? null),
  };
}

function holderFacts({ holder }: EndFacts, kind: string | undefined): readonly string[] {
  if (kind !== 'port-held') return [];
  return holder === null
    ? ['nobody that can be seen has it now']
    : [`it is held by pid ${holder.pid} (${holder.command})`];
}

function endUnknown(): Cause {
  return {
    kind: 'unknown',
    sentence: 'it ended when no daemon watched: how, nobody was there to be told',
    facts: [],
    next: null,
  };
}

/** What was killed with it, and what it had said. */
function killFacts(run: RunStory): readonly string[] {
  const killed = run.told['survivors-killed']?.survivors ?? [];
  return killed.map(({ pid, command }) => `killed with it: ${pid} (${command})`);
}

function stopFacts(run: RunStory): readonly string[] {
  const said = run.appPhases.filter(({ appPhase }) => appPhase === 'report').at(-1);
  return [
    ...(said === undefined ? [] : [`its own report: ${recordMessage(said).replace(/^report: /, '')}`]),
    ...killFacts(run),
  ];
}

function oomFacts(run: RunStory): readonly string[] {
  const { oom } = run.told['oom-checked'] ?? {};
  return oom === undefined ? [] : [describeOom(oom)];
}

function exitWords(exited: PhaseRecord | undefined): string {
  return describeExit({ code: exited?.exitCode ?? null, signal: exited?.exitSignal ?? null });
}

function ranFor({ elapsedMs }: PhaseRecord): string {
  return elapsedMs === undefined ? '' : ` after ${formatDuration(elapsedMs)}`;
}

/** Who asked for a stop: a command, a watched file, a moment, or gsup itself. */
function askedBy(reason: string): string {
  if (/ has changed$/.test(reason)) return `watch (${reason})`;
  if (reason.startsWith('schedule ')) return `its schedule (${reason.slice('schedule '.length)})`;
  if (/^SIG[A-Z]+$/.test(reason)) return `the shutdown of gsup (${reason})`;
  return reason === '' ? 'gsup' : reason;
}
