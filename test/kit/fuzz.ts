/** A fuzzer: mutated real bytes for a bounded time, with a watchdog for inputs that never come back. */
import { Worker } from 'node:worker_threads';

/** How long each target is fuzzed: 2 s in a test run, 60 s by `npm run fuzz`. */
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 2);
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** One input may take this long, on a busy machine too. */
const LONGEST_MS = 1_000;
/** An input that takes longer than this never ends: the watchdog reports it and ends the process. */
const STUCK_MS = 20_000;
/** What the heap may have grown by when the garbage is collected, in bytes. */
const GROWTH_BYTES = 200 * 1024 * 1024;
const LARGEST_INPUT = 64 * 1024;

export type Target = {
  readonly name: string;
  /** Real inputs, which are mutated. */
  readonly seeds: readonly string[];
  /** Words of the format, which are inserted. */
  readonly words: readonly string[];
  /** Takes one input. An error that it throws is a finding. */
  run(input: Buffer): unknown;
};

/** Fuzzes one target. @throws with the seed and the input, of the first that crashes or takes too long. */
export async function fuzz({ name, seeds, words, run }: Target): Promise<void> {
  const random = randomOf(SEED);
  const watchdog = new Watchdog(name);
  const before = process.memoryUsage().heapUsed;
  let count = 0;
  try {
    for (const until = performance.now() + SECONDS * 1_000; performance.now() < until; count++) {
      const input = count < seeds.length ? Buffer.from(seeds[count] ?? '') : mutated(seeds, words, random);
      watchdog.begin(input);
      const began = performance.now();
      try {
        await run(input);
      } catch (error) {
        throw finding(name, 'an error', input, error);
      }
      const tookMs = performance.now() - began;
      if (tookMs > LONGEST_MS) throw finding(name, `${Math.round(tookMs)} ms`, input);
    }
  } finally {
    await watchdog.end();
  }
  globalThis.gc?.();
  const grown = process.memoryUsage().heapUsed - before;
  if (grown > GROWTH_BYTES) throw new Error(`${name}: ${count} inputs left ${grown} bytes behind`);
}

function finding(name: string, what: string, input: Buffer, cause?: unknown): Error {
  const shown = input.length > 2_000 ? `${input.length} bytes` : JSON.stringify(input.toString('latin1'));
  const stack = cause instanceof Error ? `\n${cause.stack}` : '';
  return new Error(`${name} (FUZZ_SEED=${SEED}): ${what} for ${shown}${stack}`);
}

/** xorshift32: the same inputs for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Random = ReturnType<typeof randomOf>;

const NASTY = [
  '\0',
  '\n',
  '\r',
  '\t',
  '"',
  "'",
  '\\',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '\u001b[2J',
  '\ufeff',
  '\u2028',
  '\ud800',
  '%',
  '$',
];
const NUMBERS = ['0', '-1', '1e309', '9007199254740993', '-0', '0x7f', '4294967296', 'NaN', '.5'];

function mutated(seeds: readonly string[], words: readonly string[], random: Random): Buffer {
  const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
  let bytes = Buffer.from(pick(seeds));
  for (let left = 1 + random(8); left > 0; left--) {
    const at = random(bytes.length + 1);
    const to = Math.min(bytes.length, at + random(16));
    const insert = (text: string | Buffer) =>
      Buffer.concat([bytes.subarray(0, at), Buffer.from(text as string), bytes.subarray(at)]);
    switch (random(9)) {
      case 0:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
        break;
      case 1:
        bytes = insert(bytes.subarray(at, to));
        break;
      case 2:
        bytes = insert(pick([...NASTY, ...NUMBERS]));
        break;
      case 3:
        bytes = insert(pick(words));
        break;
      case 4:
        if (at < bytes.length) bytes[at] = random(256);
        break;
      case 5:
        bytes = insert(pick(seeds));
        break;
      case 6:
        bytes = insert(pick([...NASTY, ...words]).repeat(1 + random(2_000)));
        break;
      case 7:
        bytes = bytes.subarray(0, at);
        break;
      case 8:
        bytes = insert(Buffer.from(Array.from({ length: random(32) }, () => random(256))));
    }
  }
  return Buffer.from(bytes.subarray(0, LARGEST_INPUT));
}

/** A thread that ends the process when one input takes too long, and says which one. */
class Watchdog {
  readonly #shared = new SharedArrayBuffer(16 + LARGEST_INPUT);
  readonly #worker: Worker;

  constructor(name: string) {
    this.#worker = new Worker(WATCHDOG, {
      eval: true,
      workerData: { shared: this.#shared, name, stuckMs: STUCK_MS, seed: SEED },
    });
    this.#worker.unref();
  }

  begin(input: Buffer): void {
    new Uint8Array(this.#shared, 16).set(input.subarray(0, LARGEST_INPUT));
    const head = new Int32Array(this.#shared, 0, 4);
    Atomics.store(head, 1, Math.min(input.length, LARGEST_INPUT));
    Atomics.add(head, 0, 1);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

const WATCHDOG = `
const { workerData: { shared, name, stuckMs, seed } } = require('node:worker_threads');
const head = new Int32Array(shared, 0, 4);
let last = -1;
setInterval(() => {
  const count = Atomics.load(head, 0);
  if (count === last) {
    const input = Buffer.from(new Uint8Array(shared, 16, head[1])).toString('base64').slice(0, 4000);
    require('node:fs').writeSync(2, name + ' (FUZZ_SEED=' + seed + '): stuck for base64 ' + input + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }
  last = count;
}, stuckMs);
`;
