/** Events of a server that its listeners hear later: what it asks for is neither begun nor lost. */
import type { EventEmitter } from 'node:events';

type Parts = readonly unknown[];
type Emit = (event: string, ...parts: unknown[]) => boolean;

export class Hold {
  readonly #server: EventEmitter;
  readonly #held: { readonly event: string; readonly parts: Parts }[] = [];
  readonly #emit: Emit;
  readonly #unwrap: () => void;
  #isHolding = true;

  /** Holds those that `isMeant`. */
  constructor(server: EventEmitter, isMeant: (event: string, parts: Parts) => boolean) {
    this.#server = server;
    this.#emit = server.emit.bind(server);
    const own = Object.getOwnPropertyDescriptor(server, 'emit');
    const emit: Emit = (event, ...parts) => {
      if (!this.#isHolding || !isMeant(event, parts)) return this.#emit(event, ...parts);
      this.#held.push({ event, parts });
      return true;
    };
    Object.defineProperty(server, 'emit', { value: emit, configurable: true, writable: true });
    this.#unwrap = () => {
      // Somebody may have wrapped it meanwhile.
      if (server.emit !== emit) return;
      if (own === undefined) Reflect.deleteProperty(server, 'emit');
      else Object.defineProperty(server, 'emit', own);
    };
  }

  /** Hands over what was held, but what is gone: nobody would hear the end of it. */
  release(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#unwrap();
    for (const { event, parts } of this.#held.splice(0)) if (!parts.some(isGone)) this.#hand(event, parts);
  }

  #hand(event: string, parts: Parts): void {
    try {
      this.#server.emit(event, ...parts);
    } catch (error) {
      // As uncaught as it would have been, and nobody else's.
      setImmediate(() => {
        throw error;
      });
    }
  }
}

/** Of a response or a stream; a request that has been read is not gone. */
function isGone(part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return false;
  return Reflect.get(part, 'destroyed') === true && !('httpVersion' in part);
}
