/** What an exit code, a signal and the last lines of stderr mean, in words for people who meet them first; pure. */
import type { SignalName } from './signal.ts';
import { SIGNAL_NAMES, signalNumber } from './signal.ts';

/** What a program wrote that says more than its exit code. */
export type Clue = {
  readonly kind: 'port-held' | 'module-missing' | 'heap-full' | 'syntax' | 'permission' | 'file-missing';
  readonly words: string;
  /** Of what the clue tells: a port, a module, a file; `null`: it does not say. */
  readonly what: string | null;
};

const CLUES: readonly (readonly [Clue['kind'], RegExp, (what: string | null) => string])[] = [
  [
    'heap-full',
    /JavaScript heap out of memory|java\.lang\.OutOfMemoryError/,
    () => "its heap was full: it reached its own limit of memory, not the machine's",
  ],
  [
    'port-held',
    /EADDRINUSE.*|[Aa]ddress already in use.*/,
    (port) => `${port === null ? 'an address that it listens on' : `port ${port}`} was taken by another process`,
  ],
  [
    'module-missing',
    /Cannot find (?:module|package) '([^']+)'|No module named '?([\w.]+)'?/,
    (name) => `it could not find the module ${name ?? 'that it needs'}`,
  ],
  ['syntax', /\bSyntaxError: (.+)/, (what) => `its code can't be read: ${what}`],
  [
    'permission',
    /\bEACCES\b.*?'([^']+)'|[Pp]ermission denied:? '?([^'\s]+)/,
    (file) => `it may not use ${file ?? 'what it needs'} (permission denied)`,
  ],
  [
    'file-missing',
    /\bENOENT\b.*?'([^']+)'|No such file or directory: '([^']+)'/,
    (file) => `it could not find the file ${file}`,
  ],
];

/** Of a line: what says why stands at its begin, and a search must not take for ever. */
const LONGEST_LINE = 1_000;

/** The first clue in the last lines of stderr; `null`: none that is known. */
export function clueOf(lines: readonly string[]): Clue | null {
  const stderr = lines.map((line) => line.slice(0, LONGEST_LINE));
  for (const [kind, pattern, words] of CLUES) {
    const line = stderr.findLast((one) => pattern.test(one));
    if (line === undefined) continue;
    const found = pattern.exec(line);
    const what = kind === 'port-held' ? portOf(line, stderr) : (found?.[1] ?? found?.[2] ?? null);
    return { kind, words: words(what), what };
  }
  return null;
}

/** `:::3000`, `127.0.0.1:3000`, `port: 3000` in the line, or near it. */
function portOf(line: string, stderr: readonly string[]): string | null {
  const ofNode = stderr.map((one) => /^\s*port: (\d+)/.exec(one)?.[1]).find((port) => port !== undefined);
  return /:(\d{1,5})\b(?!\])(?!.*:\d{1,5}\b)/.exec(line)?.[1] ?? ofNode ?? null;
}

/** What an exit code means beside itself; `null`: only its program knows. */
export function codeWords(code: number, isNode: boolean): string | null {
  if (isNode && code === 13) return 'Node ends so when a top-level await never settles: nothing was left to wait for';
  if (code === 126) return 'a shell ends so when a program is there and cannot be executed';
  if (code === 127) return 'a shell ends so when it does not find the program';
  const signal = code > 128 ? SIGNAL_NAMES.find((name) => signalNumber(name) === code - 128) : undefined;
  return signal === undefined
    ? null
    : `that is 128 + ${code - 128}, so what it ran died of ${signal}${ofSignal(signal)}`;
}

/** What a signal that ended a program means; `null`: anybody may have sent it. */
export function faultWords(signal: SignalName): string | null {
  return FAULTS[signal] ?? null;
}

function ofSignal(signal: SignalName): string {
  if (signal === 'SIGKILL') return ', as the OOM killer and "kill -9" do it';
  const fault = FAULTS[signal];
  return fault === undefined ? '' : ` (${fault})`;
}

/** signal(7): what the kernel sends for a fault of the program itself. */
const FAULTS: Readonly<Partial<Record<SignalName, string>>> = {
  SIGSEGV: 'it used memory that is not its own',
  SIGBUS: 'it used memory that is not there',
  SIGABRT: 'it gave itself up, as after a failed assertion',
  SIGILL: 'it met an instruction that this processor does not have',
  SIGFPE: 'it divided by zero, or the like',
  SIGTRAP: 'it met a breakpoint, as V8 does when it gives up',
  SIGSYS: 'it made a system call that it is not allowed (seccomp)',
  SIGXCPU: 'its limit of processor time was reached',
  SIGXFSZ: 'its limit of file size was reached',
  SIGPIPE: 'it wrote to somebody who had gone',
};
