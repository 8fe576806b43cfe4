/** Children's output on our own stdout and stderr: as it came for one, `name:0 | line` for several. */
import type { InstanceRef } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import { colouredLine } from '../core/plain-text.ts';
import type { StreamName } from '../host/host.ts';
import { LineSplitter } from '../logs/lines.ts';
import { Writer } from '../logs/writer.ts';
import { paint, serviceColour } from '../view/colour.ts';

const NEWLINE = Buffer.from('\n');

export type OutputOptions = {
  /** Padded to the longest. */
  readonly instances: readonly InstanceRef[];
  readonly colour: Readonly<Record<StreamName, boolean>>;
  /** Where lines of several share a terminal, each may colour itself and do nothing else to it. */
  readonly isTerminal: Readonly<Record<StreamName, boolean>>;
  /** What was held back may come again. */
  onDrain(): void;
  /** The reader of our stdout is gone. */
  onGone(): void;
  /** Each line of an instance, beside; absent: nobody else wants it. */
  readonly onLine?: (of: InstanceRef, stream: StreamName, line: Buffer) => void;
};

/** Owns stdout and stderr as long as children's output goes through us. */
export class Output {
  readonly #options: OutputOptions;
  readonly #writers: Readonly<Record<StreamName, Writer>>;
  readonly #width: number;
  readonly #services: readonly string[];
  readonly #splitters = new Set<LineSplitter>();

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#writers = { stdout: new Writer(1, options), stderr: new Writer(2, { onDrain: options.onDrain }) };
    this.#width = Math.max(...options.instances.map(({ service, index }) => instanceName(service, index).length));
    this.#services = [...new Set(options.instances.map(({ service }) => service))];
  }

  /** Takes chunks as they are. */
  raw(): (stream: StreamName, chunk: Buffer) => boolean {
    return (stream, chunk) => this.#writers[stream].write(chunk);
  }

  /** Takes chunks of one instance and writes whole lines behind its name. */
  prefixed(of: InstanceRef): { onChunk(stream: StreamName, chunk: Buffer): boolean; end(): void } {
    const name = instanceName(of.service, of.index).padEnd(this.#width);
    const colour = serviceColour(this.#services.indexOf(of.service));
    let takesMore = true;
    const splitter = (stream: StreamName): LineSplitter => {
      const prefix = Buffer.from(`${paint(`${name} |`, colour, this.#options.colour[stream])} `);
      return new LineSplitter((line) => {
        this.#options.onLine?.(of, stream, line);
        const shown = this.#options.isTerminal[stream] ? Buffer.from(colouredLine(line.toString())) : line;
        takesMore = this.#writers[stream].write(Buffer.concat([prefix, shown, NEWLINE]));
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
    await Promise.all(Object.values(this.#writers).map((writer) => writer.close()));
  }
}
