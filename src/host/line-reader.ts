/** Lines of sockets: a bounded amount in each turn of the event loop, shared fairly between all sockets. */
import type { Socket } from 'node:net';

/** One for each line and one for each 4 KiB of it: a few ms of a turn. */
const UNITS_A_TURN = 128;
const UNIT_LENGTH = 4 * 1024;

export type LineListener = {
  /** The length of the longest line that is accepted now; a longer one ends the connection. */
  longest(): number;
  /** Takes a line; returns how long to wait before the next one, in ms, or `null` to end the connection. */
  take(line: string): number | null;
  /** The connection is closed, and there are no more lines. */
  ended(): void;
};

/** Sockets with whole lines; each loses its place to the others with every line. */
const ready = new Set<LineReader>();
let unitsLeft = UNITS_A_TURN;
let isRenewalDue = false;

/** Reads lines from now on. A socket whose lines wait is paused, so that its peer has to wait, too. */
export function readLines(socket: Socket, listener: LineListener): void {
  const reader = new LineReader(socket, listener);
  socket.setEncoding('utf8');
  socket.on('error', () => {});
  socket.on('data', (text: string) => reader.push(text));
  socket.on('close', () => reader.close());
}

class LineReader {
  readonly #socket: Socket;
  readonly #listener: LineListener;
  #text = '';
  #from = 0;
  #isBusy = false;
  #isClosed = false;

  constructor(socket: Socket, listener: LineListener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  push(text: string): void {
    this.#text += text;
    if (!text.includes('\n')) this.#checkLength();
    else if (!this.#isBusy) this.#begin();
  }

  close(): void {
    this.#isClosed = true;
    if (!this.#isBusy) this.#listener.ended();
  }

  /** Takes one line; returns the units that it has cost. */
  takeLine(): number {
    const end = this.#text.indexOf('\n', this.#from);
    const line = this.#text.slice(this.#from, end);
    this.#from = end + 1;
    const waitMs = line.length > this.#listener.longest() ? null : this.#listener.take(line);
    if (waitMs === null) this.#drop();
    else if (this.#text.indexOf('\n', this.#from) < 0) this.#rest(waitMs);
    else if (waitMs === 0) ready.add(this);
    else setTimeout(() => this.#begin(), waitMs).unref();
    return 1 + Math.floor(line.length / UNIT_LENGTH);
  }

  #begin(): void {
    this.#isBusy = true;
    this.#socket.pause();
    ready.add(this);
    work();
  }

  /** Only the beginning of a line is left. */
  #rest(waitMs: number): void {
    this.#text = this.#text.slice(this.#from);
    this.#from = 0;
    if (waitMs === 0) this.#end();
    else setTimeout(() => this.#end(), waitMs).unref();
  }

  #end(): void {
    this.#isBusy = false;
    if (this.#isClosed) this.#listener.ended();
    else if (this.#checkLength()) this.#socket.resume();
  }

  #checkLength(): boolean {
    const isShort = this.#text.length - this.#from <= this.#listener.longest();
    if (!isShort) this.#drop();
    return isShort;
  }

  #drop(): void {
    [this.#text, this.#from] = ['', 0];
    this.#socket.destroy();
    const wasBusy = this.#isBusy;
    this.#isBusy = false;
    // It was closed while its lines waited.
    if (wasBusy && this.#isClosed) this.#listener.ended();
  }
}

function work(): void {
  for (const reader of ready) {
    if (unitsLeft <= 0) break;
    ready.delete(reader);
    unitsLeft -= reader.takeLine();
  }
  if (isRenewalDue) return;
  isRenewalDue = true;
  // Sockets are read between two turns, so all that have lines are in the queue by then.
  setImmediate(() => {
    isRenewalDue = false;
    unitsLeft = UNITS_A_TURN;
    if (ready.size > 0) work();
  });
}
