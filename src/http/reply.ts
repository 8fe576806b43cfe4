/** Answers: JSON, texts, streams of lines; each with the headers that keep other sites out. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Nothing is loaded from elsewhere, nothing inline runs, nobody frames us. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const SAFE: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};
/** A body is a handful of names. */
const LARGEST_BODY = 16 * 1024;

export type Headers = Readonly<Record<string, string>>;

/** The whole answer. */
export function send(
  response: ServerResponse,
  status: number,
  { type, body, headers = {} }: { readonly type: string; readonly body: string | Buffer; readonly headers?: Headers },
): void {
  const bytes = Buffer.from(body as string);
  response.writeHead(status, { ...SAFE, 'content-type': type, 'content-length': bytes.length, ...headers });
  response.end(bytes);
}

export function sendJson(response: ServerResponse, status: number, value: object, headers: Headers = {}): void {
  send(response, status, { type: 'application/json', body: `${JSON.stringify(value)}\n`, headers });
}

/** A refusal as JSON; the connection ends where the request may have more to come. */
export function refuse(
  response: ServerResponse,
  status: number,
  {
    error,
    hint = null,
    headers = {},
  }: { readonly error: string; readonly hint?: string | null; readonly headers?: Headers },
): void {
  sendJson(response, status, { error, ...(hint === null ? {} : { hint }) }, headers);
}

/** The headers of an answer that goes on for long. */
export function beginStream(response: ServerResponse, type: string): void {
  response.writeHead(200, { ...SAFE, 'content-type': type, 'x-accel-buffering': 'no' });
  response.flushHeaders();
}

/** Each as a line of JSON, no faster than they are taken; ends when the reader is gone. */
export async function sendLines(response: ServerResponse, lines: AsyncIterable<unknown>): Promise<void> {
  beginStream(response, 'application/x-ndjson');
  for await (const line of lines) {
    if (response.destroyed) break;
    if (!response.write(`${JSON.stringify(line)}\n`)) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

export type Body =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly status: 400 | 413 | 415; readonly error: string };

/** The JSON of a request. A form of another site can't say that it is JSON. */
export async function bodyOf(request: IncomingMessage): Promise<Body> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type))
    return { ok: false, status: 415, error: 'the content-type has to be application/json' };
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > LARGEST_BODY) return { ok: false, status: 413, error: `the body has more than ${LARGEST_BODY} bytes` };
    parts.push(part);
  }
  try {
    return { ok: true, value: JSON.parse(Buffer.concat(parts).toString('utf8')) };
  } catch {
    return { ok: false, status: 400, error: 'the body is no JSON' };
  }
}
