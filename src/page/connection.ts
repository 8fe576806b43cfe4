/** The way to gsup: the token of this tab, one stream of events, calls; tried again as long as the page is open. */
import type { FeedEvent, FeedSnapshot } from '../http/feed-message.ts';

const TOKEN_KEY = 'gsup-token';
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [500, 10_000];

export type Link = 'connecting' | 'live' | 'lost' | 'needs-token' | 'wrong-token';

export type ConnectionListener = {
  snapshot(snapshot: FeedSnapshot): void;
  change(event: FeedEvent): void;
  link(link: Link): void;
};

/** Kept in the tab until it is closed: no cookie, which the browser would send for others too. */
export function keepToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, token);
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/** A request with the token, where there is one. */
export function call(path: string, init: RequestInit = {}): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = new Headers(init.headers);
  if (token !== null) headers.set('authorization', `Bearer ${token}`);
  return fetch(path, { ...init, headers, cache: 'no-store', credentials: 'omit' });
}

/** Listens until the signal says so. */
export async function connect(listener: ConnectionListener, signal: AbortSignal): Promise<void> {
  for (let waitMs = FIRST_WAIT_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const ended = await listenOnce(listener, signal, () => {
      waitMs = FIRST_WAIT_MS;
    }).catch(() => 'lost' as const);
    if (signal.aborted) return;
    listener.link(ended);
    if (ended !== 'lost') return;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function listenOnce(
  { snapshot, change, link }: ConnectionListener,
  signal: AbortSignal,
  isThere: () => void,
): Promise<Link> {
  const response = await call('/api/events', { signal });
  if (response.status === 401) return hasToken() ? 'wrong-token' : 'needs-token';
  if (!response.ok || response.body === null) return 'lost';
  isThere();
  link('live');
  for await (const block of blocksOf(response.body, '\n\n')) {
    const [, name, text] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
    if (name === 'snapshot' && text !== undefined) snapshot(JSON.parse(text));
    if (name === 'change' && text !== undefined) change(JSON.parse(text));
  }
  return 'lost';
}

/** The values of an NDJSON answer, one by one. @throws {Error} what the server says went wrong. */
export async function* linesFrom<T>(path: string, init: RequestInit): AsyncGenerator<T> {
  const response = await call(path, init);
  if (!response.ok || response.body === null) throw new Error(await errorOf(response));
  for await (const line of blocksOf(response.body, '\n')) if (line !== '') yield JSON.parse(line);
}

export async function errorOf(response: Response): Promise<string> {
  const answer = await response.json().catch(() => null);
  return answer?.error ?? `${response.status} ${response.statusText}`;
}

async function* blocksOf(body: ReadableStream<Uint8Array>, end: string): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(end);
      rest = blocks.pop() ?? '';
      yield* blocks;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
