/** Requests that Node asks the app about only if it listens: sockets that are handed over, and bodies that wait for a word. */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** WebSockets, and tunnels of CONNECT. */
export const UPGRADES: readonly string[] = ['upgrade', 'connect'];
/** Of "Expect: 100-continue", and of other expectations. */
export const EXPECTATIONS: readonly string[] = ['checkContinue', 'checkExpectation'];
type Listener = ((request: IncomingMessage) => void) | ((request: IncomingMessage, response: ServerResponse) => void);

/**
 * Calls `listener` for each of these events. A listener changes what Node does with such a request, so ours is there only beside
 * one of the app's. Returns what takes it back.
 */
export function watchBeside(server: EventEmitter, events: readonly string[], listener: Listener): () => void {
  const follow = (event: string, other: unknown): void => {
    if (!events.includes(event) || other === listener) return;
    if (!server.listeners(event).includes(listener)) server.prependListener(event, listener);
  };
  const leave = (event: string): void => {
    const [only, ...others] = events.includes(event) ? server.listeners(event) : [];
    if (only === listener && others.length === 0) server.off(event, listener);
  };
  for (const event of events) if (server.listenerCount(event) > 0) server.prependListener(event, listener);
  server.on('newListener', follow);
  server.on('removeListener', leave);
  return () => {
    server.off('newListener', follow).off('removeListener', leave);
    for (const event of events) server.off(event, listener);
  };
}

/** Calls `then` after the app has written something: before, a word of ours would be taken for its answer. */
export function afterWrite(socket: Socket, then: () => void): void {
  const own = Object.getOwnPropertyDescriptor(socket, 'write');
  const { write } = socket;
  const watched = (...parts: Parameters<Socket['write']>): boolean => {
    if (own === undefined) Reflect.deleteProperty(socket, 'write');
    else Object.defineProperty(socket, 'write', own);
    setImmediate(then);
    return Reflect.apply(write, socket, parts);
  };
  Object.defineProperty(socket, 'write', { value: watched, configurable: true, writable: true });
}
