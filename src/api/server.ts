/** The control socket's server: routes of the table answered by handlers, of which none can be missing. */
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import * as v from 'valibot';
import { EXIT, isGsupError } from '../core/error.ts';
import { type InputOf, PROTOCOL, type ReplyOf, ROUTES, type RouteName, type Routes } from './routes.ts';
import type { Refusal } from './types.ts';

/** One for each route; a stream's `signal` is aborted when its reader is gone. */
export type Handlers = {
  readonly [K in RouteName]: (
    input: InputOf<K>,
    signal: AbortSignal,
  ) => Routes[K]['isStream'] extends true ? AsyncIterable<ReplyOf<K>> : Promise<ReplyOf<K>> | ReplyOf<K>;
};

type AnyHandler = (input: unknown, signal: AbortSignal) => unknown;

/** A server that is not listening yet. */
export function createApiServer(handlers: Handlers, version: string): Server {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.header('gsup-version', version);
    context.header('gsup-protocol', String(PROTOCOL));
  });
  for (const name of Object.keys(ROUTES) as RouteName[]) {
    const { method, path } = ROUTES[name];
    app.on(method, path, (context) => answer(context, name, handlers[name] as AnyHandler));
  }
  app.notFound((context) => refuse(context, 404, `there is no ${context.req.method} ${context.req.path}`, EXIT.usage));
  app.onError((error, context) => {
    if (!isGsupError(error)) {
      // A bug: loud in daemon.log, and no reason to take everybody's daemon away.
      console.error(error);
      return refuse(context, 500, `internal error: ${String(error)}`, EXIT.failed);
    }
    return refuse(context, 422, error.message, error.exitStatus, error.hint);
  });
  return createServer(getRequestListener(app.fetch));
}

async function answer(context: Context, name: RouteName, handler: AnyHandler): Promise<Response> {
  const asked = context.req.header('gsup-protocol');
  const isForAll = name === 'ping' || name === 'retire';
  if (asked !== undefined && asked !== String(PROTOCOL) && !isForAll) {
    const message = `the daemon speaks protocol ${PROTOCOL}, this command ${asked}`;
    return refuse(context, 426, message, EXIT.failed, 'replace the daemon and leave the services running: gsup update');
  }
  const { input: schema, isStream, method } = ROUTES[name];
  const given = method === 'GET' ? context.req.query() : await bodyOf(context);
  if (given === null) return refuse(context, 400, 'the body is no JSON', EXIT.usage);
  const parsed = v.safeParse(schema, { ...given, ...context.req.param() });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = issue.path?.map(({ key }: { key: unknown }) => String(key)).join('.') ?? '';
    return refuse(context, 400, `${where === '' ? 'input' : where}: ${issue.message}`, EXIT.usage);
  }
  const ended = new AbortController();
  const reply = await handler(parsed.output, ended.signal);
  if (!isStream) return context.json(reply as object);
  context.header('content-type', 'application/x-ndjson');
  return context.body(ndjson(reply as AsyncIterable<unknown>, ended));
}

async function bodyOf(context: Context): Promise<Record<string, unknown> | null> {
  const text = await context.req.text();
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Pulled by the reader: what is slow to be read is not made. */
function ndjson(lines: AsyncIterable<unknown>, ended: AbortController): ReadableStream<Uint8Array> {
  const iterator = lines[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
    },
    cancel() {
      ended.abort();
      void iterator.return?.();
    },
  });
}

function refuse(
  context: Context,
  status: 400 | 404 | 422 | 426 | 500,
  error: string,
  exitStatus: number,
  hint?: string,
): Response {
  const refusal: Refusal = { error, exitStatus, ...(hint === undefined ? {} : { hint }) };
  return context.json(refusal, status);
}
