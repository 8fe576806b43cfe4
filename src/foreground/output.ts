/** Children's output on our own stdout and stderr: as it came for one, `name:0 | line` for several. */
import pino from 'pino';
import type { InstanceRef } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import type { StreamName } from '../host/host.ts';
import { LineSplitter } from '../logs/lines.ts';
import { closeDestination } from '../supervisor/journal.ts';
import { paint, serviceColour } from '../view/colour.ts';

const NEWLINE = Buffer.from('\n');
const DESCRIPTORS = { stdout: 1, stderr: 2 } as const;

export type OutputOptions = {
  /** Padded to the longest. */
  readonly instances: readonly InstanceRef[];
  readonly colour: Readonly<Record<StreamName, boolean>>;
  /** What was held back may come again. */
  onDrain(): void;
  /** The reader of our stdout is gone. */
  onGone(): void;
};

type Destination = ReturnType<typeof pino.destination>;

/** Owns stdout and stderr as long as children's output goes through us. */
export class Output {
  readonly #options: OutputOptions;
  readonly #destinations: Readonly<Record<StreamName, Destination>>;
  readonly #width: number;
  readonly #services: readonly string[];
  readonly #splitters = new Set<LineSplitter>();
  #isGone = false;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#destinations = { stdout: this.#open('stdout'), stderr: this.#open('stderr') };
    this.#width = Math.max(...options.instances.map(({ service, index }) => instanceName(service, index).length));
    this.#services = [...new Set(options.instances.map(({ service }) => service))];
  }

  /** Takes chunks as they are. */
  raw(): (stream: StreamName, chunk: Buffer) => boolean {
    return (stream, chunk) => this.#write(stream, chunk);
  }

  /** Takes chunks of one instance and writes whole lines behind its name. */
  prefixed(of: InstanceRef): { onChunk(stream: StreamName, chunk: Buffer): boolean; end(): void } {
    const name = instanceName(of.service, of.index).padEnd(this.#width);
    const colour = serviceColour(this.#services.indexOf(of.service));
    let takesMore = true;
    const splitter = (stream: StreamName): LineSplitter => {
      const prefix = Buffer.from(`${paint(`${name} |`, colour, this.#options.colour[stream])} `);
      return new LineSplitter((line) => {
        takesMore = this.#write(stream, Buffer.concat([prefix, line, NEWLINE]));
      });
    };
    const splitters = { stdout: splitter('stdout'), stderr: splitter('stderr') };
    this.#splitters.add(splitters.stdout).add(splitters.stderr);
    return {
      onChunk: (stream, chunk) => {
        takesMore = true;
        splitters[stream].push(chunk);
        return takesMore;
      },
      end: () => {
        for (const one of Object.values(splitters)) {
          one.end();
          this.#splitters.delete(one);
        }
      },
    };
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    for (const splitter of this.#splitters) splitter.end();
    await Promise.all(Object.values(this.#destinations).map(closeDestination));
  }

  #open(stream: StreamName): Destination {
    const destination = pino.destination({ dest: DESCRIPTORS[stream], sync: false, contentMode: 'buffer' } as object);
    destination.on('drain', () => this.#options.onDrain());
    destination.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' || this.#isGone) return;
      this.#isGone = true;
      this.#options.onDrain();
      this.#options.onGone();
    });
    return destination;
  }

  #write(stream: StreamName, bytes: Buffer): boolean {
    if (this.#isGone) return true;
    try {
      return this.#destinations[stream].write(bytes as never) !== false;
    } catch {
      return true;
    }
  }
}
