/** The report of a drill as people read it, within 80 columns; pure. */
import {
  type DrillPhase,
  type DrillReport,
  exitText,
  type LoadFacts,
  type RequestCounts,
  sentOf,
  stopTimes,
} from '../core/drill.ts';
import { formatDuration } from '../core/duration.ts';
import { type Colour, paint } from './colour.ts';

export type DrillViewOptions = {
  readonly width: number;
  readonly colour: boolean /** Only characters that every terminal has. */;
  readonly ascii: boolean;
};

const BAR = 20;

/** Verdict first, then what it stands on. */
export function drillText(report: DrillReport, options: DrillViewOptions): string {
  const { width, colour } = options;
  const sections = [
    headline(report, colour),
    report.problems.flatMap((text) => bullet(text, width, colour)),
    phaseLines(report, options),
    report.requests === null ? [] : requestLines(report.requests, colour),
    outerLines(report, colour),
  ];
  const text = sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
  return options.ascii ? text.replace(/[✓✗█━×…]/g, (sign) => PLAIN[sign] ?? '?') : text;
}

const PLAIN: Readonly<Record<string, string>> = { '✓': '+', '✗': 'x', '█': '=', '━': '~', '×': 'x', '…': '.' };

/** Of several: their times, and how many were clean. */
export function drillsText(reports: readonly DrillReport[], colour: boolean): string {
  const times = stopTimes(reports);
  if (times === null) return '';
  const clean = reports.filter(({ isClean }) => isClean).length;
  const tally = paint(`${clean} of ${reports.length} clean`, clean === reports.length ? 'green' : 'red', colour);
  const [min, median, max] = [times.min, times.median, times.max].map(formatDuration);
  return `${tally}; stop: min ${min}, median ${median}, max ${max}`;
}

function headline(report: DrillReport, colour: boolean): string[] {
  const { instance, isClean, stopMs, graceMs, graceUsed } = report;
  const sign = isClean ? paint('✓', 'green', colour) : paint('✗', 'red', colour);
  const share = `${Math.round(graceUsed * 100)}% of grace ${formatDuration(graceMs)}`;
  return [
    `${sign} ${paint(instance, 'bold', colour)}  ${isClean ? 'a clean stop' : 'no clean stop'} in ${formatDuration(stopMs)}, ${share} used, ${exitText(report)}`,
  ];
}

function phaseLines({ phases, stopMs }: DrillReport, { width, colour }: DrillViewOptions): string[] {
  const names = Math.max(...phases.map((phase) => labelOf(phase).length), 5);
  const head = `${'phase'.padEnd(names)}  ${'from'.padStart(7)}  ${'takes'.padStart(7)}`;
  return [
    paint(head, 'bold', colour),
    ...phases.map((phase) => {
      const at = `+${formatDuration(phase.atMs)}`.padStart(7);
      const tint: Colour = phase.of === 'app' ? 'magenta' : phase.name.includes('kill') ? 'red' : 'blue';
      const begin = `${labelOf(phase).padEnd(names)}  ${at}  ${formatDuration(phase.ms).padStart(7)}  `;
      const bar = barOf(phase, Math.max(stopMs, 1));
      const left = pendingText(phase, Math.max(10, width - begin.length - BAR - 2));
      return left === ''
        ? `${begin}${paint(bar.trimEnd(), tint, colour)}`
        : `${begin}${paint(bar, tint, colour)}  ${left}`;
    }),
  ];
}

/** The counts of what is pending, not their names. */
function pendingText({ pending }: DrillPhase, width: number): string {
  const text = Object.entries(pending)
    .flatMap(([name, value]) => (typeof value === 'number' ? [`${name} ${value}`] : []))
    .join(', ');
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

function labelOf({ name, of }: DrillPhase): string {
  return of === 'app' ? `  ${name}` : name;
}

function barOf({ atMs, ms, of }: DrillPhase, wholeMs: number): string {
  const from = Math.min(BAR - 1, Math.floor((atMs / wholeMs) * BAR));
  const length = Math.max(1, Math.min(BAR - from, Math.round((ms / wholeMs) * BAR)));
  return `${' '.repeat(from)}${(of === 'app' ? '━' : '█').repeat(length)}`.padEnd(BAR);
}

const COLUMNS: readonly (readonly [keyof RequestCounts, string])[] = [
  ['answered', 'answered'],
  ['turnedAway', '503'],
  ['failed', 'failed'],
  ['lost', 'lost'],
  ['refused', 'refused'],
  ['queued', 'queued'],
];

function requestLines(load: LoadFacts, colour: boolean): string[] {
  const row = (name: string, counts: RequestCounts): string =>
    [
      name.padEnd(15),
      String(sentOf(counts)).padStart(6),
      ...COLUMNS.map(([key, title]) => {
        const text = String(counts[key]).padStart(Math.max(title.length, 6));
        return counts[key] > 0 && (key === 'lost' || key === 'failed') ? paint(text, 'red', colour) : text;
      }),
    ].join('  ');
  const head = ['requests'.padEnd(15), 'sent'.padStart(6), ...COLUMNS.map(([, title]) => title.padStart(6))].join('  ');
  const reasons = Object.entries(load.reasons).map(([reason, count]) => `${reason} ${count}×`);
  const facts = [
    `${load.underWay} under way when the stop was asked for`,
    ...(load.retried === 0 ? [] : [`${load.retried} sent again, their kept connection was closing`]),
    ...(load.unsent === 0 ? [] : [`${load.unsent} not sent, too many were waiting`]),
    ...(reasons.length === 0 ? [] : [`lost or failed by ${reasons.join(', ')}`]),
    ...(load.draining.refused === 0 ? [] : ['refused: behind the closed listener, as is to be expected']),
    ...(load.draining.queued === 0 ? [] : ['queued: in the socket, for the next instance']),
  ];
  return [
    paint(head, 'bold', colour),
    row('before the stop', load.before),
    row('while stopping', load.draining),
    ...facts.map((fact) => `  ${fact}`),
  ];
}

function outerLines({ outer }: DrillReport, colour: boolean): string[] {
  if (outer === null || !outer.fits) return [];
  const sign = paint('✓', 'green', colour);
  return [
    `${sign} ${outer.name} ${formatDuration(outer.limitMs)}: enough for a whole stop, ${formatDuration(outer.needMs)} at most`,
  ];
}

function bullet(text: string, width: number, colour: boolean): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 5 > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one, index) => `${index === 0 ? '  - ' : '    '}${paint(one, 'red', colour)}`);
}
