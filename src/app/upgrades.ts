/** Sockets that an HTTP server hands over to the app: WebSockets, and tunnels of CONNECT. */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';

export const UPGRADES: readonly string[] = ['upgrade', 'connect'];
type Listener = (request: IncomingMessage) => void;

/**
 * Calls `listener` for each of them. A listener of these events changes what Node does with such a request, so ours is there
 * only beside one of the app's. Returns what takes it back.
 */
export function watchUpgrades(server: EventEmitter, listener: Listener): () => void {
  const follow = (event: string, other: unknown): void => {
    if (!UPGRADES.includes(event) || other === listener) return;
    if (!server.listeners(event).includes(listener)) server.prependListener(event, listener);
  };
  const leave = (event: string): void => {
    const [only, ...others] = UPGRADES.includes(event) ? server.listeners(event) : [];
    if (only === listener && others.length === 0) server.off(event, listener);
  };
  for (const event of UPGRADES) if (server.listenerCount(event) > 0) server.prependListener(event, listener);
  server.on('newListener', follow);
  server.on('removeListener', leave);
  return () => {
    server.off('newListener', follow).off('removeListener', leave);
    for (const event of UPGRADES) server.off(event, listener);
  };
}
