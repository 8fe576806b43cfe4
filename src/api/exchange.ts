/**
 * One call of the control socket and its whole answer: as much of HTTP/1.1 as that takes, on a connection of its own.
 * node:http does the same in four times the time, which is what `gsup ls` consists of; streams are read by it.
 */
import { connect } from 'node:net';

export type Call = {
  /** Of a Unix socket. */
  readonly socket: string;
  readonly method: 'GET' | 'POST';
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal | undefined;
};

/** For an answer to begin, or to go on. */
export const ANSWER_WAIT_MS = 30_000;

export type Answer = { readonly status: number; readonly version: string | undefined; readonly text: string };

/** Rejects with the socket's error, or one with the code ECONNRESET for an answer that broke off, ETIMEDOUT for none. */
export function exchange({ socket: path, signal, ...call }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ path, ...(signal === undefined ? {} : { signal }) });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('error', reject);
    socket.setTimeout(ANSWER_WAIT_MS, () => socket.destroy(noAnswer()));
    socket.once('end', () => {
      const answer = parse(Buffer.concat(chunks));
      if (answer === null) reject(Object.assign(new Error('the answer broke off'), { code: 'ECONNRESET' }));
      else resolve(answer);
    });
    socket.write(requestText(call));
  });
}

export function noAnswer(): Error {
  return Object.assign(new Error('there is no answer'), { code: 'ETIMEDOUT' });
}

function requestText({ method, target, headers, body }: Omit<Call, 'socket' | 'signal'>): string {
  const all = { ...headers, ...(body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) }) };
  const lines = Object.entries({ ...all, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}

/** `null`: it is not whole. The daemon tells the length of every answer that is no stream. */
function parse(bytes: Buffer): Answer | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = bytes.toString('latin1', 0, end);
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
  const body = bytes.subarray(end + 4);
  if (status === undefined || body.length < Number(headerIn(head, 'content-length') ?? 0)) return null;
  return { status: Number(status), version: headerIn(head, 'gsup-version'), text: body.toString() };
}

function headerIn(head: string, name: string): string | undefined {
  return new RegExp(`^${name}: *(.*)$`, 'im').exec(head)?.[1]?.trim();
}
