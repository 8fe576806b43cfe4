/** `--ready SPEC` → a check. */
import type { Check } from '../core/service.ts';
import { splitWords } from './words.ts';

export type ParsedCheck =
  | { readonly ok: true; readonly check: Check }
  | { readonly ok: false; readonly problem: string };

/** What `--ready` takes, for messages. */
const CHECK_FORMS = 'http://…, https://…, tcp://host:port, exec:COMMAND, log:REGEX, message, notify or fd:N';

/** One line that names a check. */
export function parseCheck(text: string): ParsedCheck {
  if (text === 'message') return { ok: true, check: { kind: 'message' } };
  if (text === 'notify') return { ok: true, check: { kind: 'notify' } };
  if (text.startsWith('fd:')) return parseFd(text.slice('fd:'.length));
  if (/^https?:\/\//.test(text)) return parseHttp(text);
  if (text.startsWith('tcp://')) return parseTcp(text.slice('tcp://'.length));
  if (text.startsWith('exec:')) return parseExec(text.slice('exec:'.length));
  if (text.startsWith('log:')) return parseLog(text.slice('log:'.length));
  return { ok: false, problem: `unknown check "${text}"; expected ${CHECK_FORMS}` };
}

/** An http or https address. */
export function parseHttp(url: string): ParsedCheck {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return { ok: false, problem: `"${url}" is no address; expected http://host:port/path` };
  }
  return { ok: true, check: { kind: 'http', url } };
}

/** `host:port`, `[::1]:port`, `:port` (this machine), with or without `tcp://`. */
export function parseTcp(address: string): ParsedCheck {
  const match = /^(?:tcp:\/\/)?(?:\[([^\]]+)\]|([^:/]*)):(\d+)\/?$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535)
    return { ok: false, problem: `"${address}" is no address; expected host:port` };
  return { ok: true, check: { kind: 'tcp', host: match[1] ?? (match[2] || '127.0.0.1'), port } };
}

/** The number of a descriptor, 3 or more. */
function parseFd(text: string): ParsedCheck {
  const fd = Number(text);
  if (/^\d{1,3}$/.test(text) && fd >= 3 && fd <= 255) return { ok: true, check: { kind: 'fd', fd } };
  return { ok: false, problem: `"fd:${text}" is no descriptor; expected fd:3 to fd:255` };
}

/** A command line, split into words. */
function parseExec(line: string): ParsedCheck {
  const split = splitWords(line);
  const [first, ...rest] = split.ok ? split.words : [];
  if (!split.ok || first === undefined) {
    const problem = split.ok ? 'is empty' : split.problem;
    return { ok: false, problem: `the command "${line}" ${problem}; write it as sh -c '…' if it is meant` };
  }
  return { ok: true, check: { kind: 'exec', argv: [first, ...rest] } };
}

/** A regular expression for a line of output. */
export function parseLog(pattern: string): ParsedCheck {
  try {
    new RegExp(pattern);
  } catch {
    return { ok: false, problem: `"${pattern}" is no regular expression` };
  }
  return pattern === ''
    ? { ok: false, problem: 'the pattern is empty' }
    : { ok: true, check: { kind: 'log', pattern } };
}
