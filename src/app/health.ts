/** The answers to `/livez` and `/readyz`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HealthHandler } from './api.ts';

export type HealthStatus = 'starting' | 'ready' | 'draining';

/** A handler of requests that tells whether it answered. */
export function createHealth(status: () => HealthStatus): HealthHandler {
  return function health(this: unknown, request, response, next): boolean {
    const path = pathOf(request);
    const isReady = status() === 'ready';
    if (path === '/livez') answer(request, response, 200, { status: status(), live: true });
    else if (path === '/readyz') answer(request, response, isReady ? 200 : 503, { status: status(), ready: isReady });
    else if (next !== undefined) next();
    // The server itself calls: there is nobody else to answer.
    else if (isServer(this)) answer(request, response, 404, { status: 'not found' });
    else return false;
    return path === '/livez' || path === '/readyz';
  };
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}

function isServer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'listening' in value;
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
