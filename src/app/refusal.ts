/** The answer to what comes while the app drains: 503, come again, on another connection. */
import type { ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Health } from './health.ts';

/** Somebody else may answer at once. */
const RETRY_AFTER_S = 1;
const BODY = JSON.stringify({ status: 'draining', ready: false });
const HEADERS = {
  Connection: 'close',
  'Retry-After': String(RETRY_AFTER_S),
  'Content-Type': 'application/json',
  'Content-Length': String(Buffer.byteLength(BODY)),
};

export function refuse(response: ServerResponse): void {
  response.writeHead(503, HEADERS);
  response.end(BODY);
}

/** The same for a socket that no response belongs to. */
export function refuseUpgrade(socket: Duplex): void {
  const lines = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 503 Service Unavailable\r\n${lines.join('')}\r\n${BODY}`);
}

/** The same over HTTP/2; false when it only asked how the app is, and is told. */
export function refuseStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, health: Health): boolean {
  stream.on('error', () => {});
  const answer = {
    writeHead: (status: number, fields: Record<string, string | number>) =>
      stream.respond({ ':status': status, ...fields }),
    end: (text?: string) => stream.end(text),
  };
  if (health({ url: headers[':path'], method: headers[':method'] }, answer)) return false;
  stream.respond({ ':status': 503, 'retry-after': String(RETRY_AFTER_S) });
  stream.end();
  return true;
}
