/** An operation followed to its end: what goes on is shown, Ctrl-C leaves it going on, its result is the exit status. */
import type { OperationLine, Outcome } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import { paint } from '../view/colour.ts';
import { outcomeLines, ProgressBoard, planLines, progressLine } from '../view/progress.ts';
import { isQuiet } from '../view/record.ts';
import { jsonLine, jsonText, toStderr, toStdout } from './print.ts';
import { allowsColour, terminalWidth } from './terminal.ts';

/** Between two drawings of a board on which only the time goes on. */
const TICK_MS = 1_000;
const INTERRUPTED = 130;

export type FollowOptions = {
  /** For people: `the start of api`. */
  readonly what: string;
  /** The result as JSON on stdout. */
  readonly isJson: boolean;
  /** Records as NDJSON on stderr. */
  readonly isNdjson?: boolean;
  /** Whether the plan is printed. Default false. */
  readonly showsPlan?: boolean;
};

/** Resolves with the exit status. */
export async function follow(lines: AsyncIterable<OperationLine>, options: FollowOptions): Promise<number> {
  const display = await displayFor(options);
  const interrupt = leaveOnInterrupt(options.what, display);
  try {
    for await (const line of lines) {
      if (line.type === 'record') display.record(line);
      else if (line.type === 'plan') display.plan(line);
      else return finish(line, options, display);
    }
  } catch (error) {
    display.end();
    throw isGsupError(error) && error.cause === undefined ? error : lost(options.what, error);
  } finally {
    interrupt();
  }
  display.end();
  throw lost(options.what, null);
}

type Result = Extract<OperationLine, { type: 'result' }>;
type Display = {
  record(line: Extract<OperationLine, { type: 'record' }>): void;
  plan(line: Extract<OperationLine, { type: 'plan' }>): void;
  outcomes(outcomes: readonly Outcome[]): void;
  end(): void;
};

function finish(result: Result, { isJson }: FollowOptions, display: Display): number {
  display.end();
  if (isJson) toStdout(jsonText(result));
  if (result.error !== null) {
    const { error, exitStatus, hint } = result;
    throw new GsupError(error, { exitStatus, ...(hint === null ? {} : { hint }) });
  }
  display.outcomes(result.outcomes);
  return result.exitStatus;
}

async function displayFor(options: FollowOptions): Promise<Display> {
  const colour = allowsColour(process.stderr);
  const began = Date.now();
  const write = (text: string) => toStderr(text);
  const plan: Display['plan'] = ({ changes }) => {
    if (options.showsPlan === true && !options.isJson)
      toStdout(`${planLines(changes, allowsColour(process.stdout))}\n`);
  };
  const outcomes = (all: readonly Outcome[]): void => {
    if (!options.isJson && options.isNdjson !== true) write(outcomeLines(all, colour));
  };
  if (options.isNdjson === true)
    return { record: ({ record }) => write(`${jsonLine(record)}\n`), plan, outcomes, end: () => {} };
  if (options.isJson) return { record: () => {}, plan, outcomes, end: () => {} };
  if (process.stderr.isTTY !== true) {
    const record: Display['record'] = ({ record: told }) => {
      if (!isQuiet(told)) write(`${progressLine(told, began, false)}\n`);
    };
    return { record, plan, outcomes, end: () => {} };
  }
  const { createLogUpdate } = await import('log-update');
  return { ...boardOn(createLogUpdate(process.stderr), colour), plan, outcomes };
}

/** A line an instance, drawn again when something comes and once a second. */
function boardOn(
  update: ReturnType<typeof import('log-update').createLogUpdate>,
  colour: boolean,
): Pick<Display, 'record' | 'end'> {
  const board = new ProgressBoard();
  const draw = () => update(board.draw({ now: Date.now(), width: terminalWidth(process.stderr), colour }));
  const timer = setInterval(draw, TICK_MS);
  return {
    record: ({ record }) => {
      board.take(record);
      draw();
    },
    end: () => {
      clearInterval(timer);
      update.clear();
    },
  };
}

/** Ctrl-C ends the waiting, not what is waited for. */
function leaveOnInterrupt(what: string, display: Display): () => void {
  const began = performance.now();
  const leave = (): void => {
    display.end();
    const took = formatDuration(performance.now() - began);
    const text = `no longer waiting after ${took}: ${what} goes on in the daemon; "gsup ls" shows how far it is`;
    toStderr(`${paint(text, 'yellow', allowsColour(process.stderr))}\n`);
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', leave);
  return () => process.off('SIGINT', leave);
}

function lost(what: string, cause: unknown): GsupError {
  return new GsupError(`the daemon went away during ${what}`, {
    exitStatus: EXIT.failed,
    hint: '"gsup ls" starts a new one, which takes up what runs, and shows how things stand',
    cause,
  });
}
