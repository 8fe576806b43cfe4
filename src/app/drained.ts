/** What every server is to the shutdown, whatever its protocol. */
import type { Server } from 'node:net';
import type { ServerReport } from './api.ts';
import type { Changes } from './changes.ts';
import type { Health } from './health.ts';

export type Counts = { readonly requests: number; readonly connections: number; readonly websockets: number };

/** One server, or one protocol of it. */
export type Drained = {
  readonly counts: Counts;
  /** Of requests in flight. */
  readonly names: readonly string[];
  /** Whether something is open that the shutdown waits for. */
  readonly isBusy: boolean;
  /** Accepts nothing new, closes what is idle, tells the rest. */
  close(): void;
  /** Closes what still refuses, when nothing is waited for any more. */
  finish(): void;
  /** Cuts what is still open. */
  cut(): void;
  readonly report: ServerReport;
  /** Takes its listeners back. */
  forget(): void;
};

/** What a server has to know of the others and of the app. */
export type Surroundings = {
  readonly changes: Changes;
  /** Whether somebody else says goodbye to WebSockets. */
  readonly hasWebSockets: () => boolean;
  /** Answers a request that only asks how the app is. */
  readonly health: Health;
  /** A part of the closing failed: the rest goes on. */
  readonly failed: (where: string, error: unknown) => void;
};

/** What the report calls a server. */
export function nameOf(protocol: string, server: Server): string {
  const address = server.address();
  if (address === null) return protocol;
  if (typeof address === 'string') return `${protocol} ${address}`;
  return `${protocol} ${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}
