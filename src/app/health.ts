/** The answers to `/livez` and `/readyz`. */

export type HealthStatus = 'starting' | 'ready' | 'draining';

type Asked = { readonly url?: string | undefined; readonly method?: string | undefined };
type Answer = {
  writeHead(status: number, headers: Record<string, string | number>): unknown;
  end(text?: string): unknown;
};
/** What it needs of a request and its response, whatever their protocol. */
export type Health = (request: Asked, response: Answer, next?: (error?: unknown) => void) => boolean;

/** A handler of requests that tells whether it answered. */
export function createHealth(status: () => HealthStatus): Health {
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

function pathOf({ url = '/' }: Asked): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}

function isServer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'listening' in value;
}

function answer(request: Asked, response: Answer, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
