/** The answer to what comes while the app drains: 503, come again, on another connection. */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

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
