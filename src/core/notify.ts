/** What a datagram to NOTIFY_SOCKET says: systemd's protocol, sd_notify(3), from its receiving side. */

/** Only what was said and makes sense; whatever else was in the datagram is left out. */
export type NotifyMessage = {
  readonly ready?: true;
  readonly stopping?: true;
  readonly reloading?: true;
  /** At most 500 characters, none of them a control character. */
  readonly status?: string;
  /** From now. */
  readonly extendMs?: number;
  readonly watchdog?: 'ping' | 'trigger';
  /** The watchdog's time from now on; 0 is none. */
  readonly watchdogMs?: number;
  /** Never 1: a signal to its group would reach everything. */
  readonly mainPid?: number;
  readonly errno?: number;
};

const LONGEST_STATUS = 500;
const LONGEST_INPUT = 8 * LONGEST_STATUS;
/** What a timer can wait. */
const LONGEST_MS = 2_147_483_647;
/** linux/threads.h: PID_MAX_LIMIT; linux/err.h: MAX_ERRNO. */
const LAST_PID = 4_194_304;
const LAST_ERRNO = 4095;
/** Whatever could move a terminal's cursor, begin a line, or turn the direction of writing. */
const CONTROL = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Never throws. Of a key that comes twice the first one counts, as with systemd. */
export function parseNotify(text: string): NotifyMessage {
  const said = fieldsOf(text);
  const watchdog = said.get('WATCHDOG');
  const fields: { readonly [Key in keyof NotifyMessage]-?: NotifyMessage[Key] | undefined } = {
    ready: isOn(said.get('READY')),
    stopping: isOn(said.get('STOPPING')),
    reloading: isOn(said.get('RELOADING')),
    status: statusOf(said.get('STATUS')),
    extendMs: milliseconds(said.get('EXTEND_TIMEOUT_USEC')),
    watchdog: watchdog === '1' ? 'ping' : watchdog === 'trigger' ? 'trigger' : undefined,
    watchdogMs: milliseconds(said.get('WATCHDOG_USEC')),
    mainPid: whole(said.get('MAINPID'), 2, LAST_PID),
    errno: whole(said.get('ERRNO'), 0, LAST_ERRNO),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  const said = new Map<string, string>();
  // A NUL at the end comes from senders that count C's.
  for (const line of text.replace(/\0$/, '').split('\n')) {
    const at = line.indexOf('=');
    const key = line.slice(0, Math.max(0, at));
    if (!said.has(key)) said.set(key, line.slice(at + 1));
  }
  return said;
}

function isOn(value: string | undefined): true | undefined {
  return value === '1' ? true : undefined;
}

function statusOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  // By code points: half a surrogate pair is no character. What is cut off first can't be a part of the result.
  return [...value.slice(0, LONGEST_INPUT).replace(CONTROL, '')].slice(0, LONGEST_STATUS).join('');
}

/** Rounded up: what is not nothing stays so. */
function milliseconds(microseconds: string | undefined): number | undefined {
  const count = whole(microseconds, 0, LONGEST_MS * 1000);
  return count === undefined ? undefined : Math.ceil(count / 1000);
}

function whole(value: string | undefined, from: number, to: number): number | undefined {
  if (value === undefined || !/^\d{1,16}$/.test(value)) return undefined;
  const number = Number(value);
  return number >= from && number <= to ? number : undefined;
}
