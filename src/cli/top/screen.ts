/** A terminal that is drawn on as a whole and left as it was. */
import { closeSync, openSync } from 'node:fs';
import { isatty, type ReadStream, type WriteStream } from 'node:tty';
import type { Size } from '../../view/top-state.ts';

/** Alternate screen; no cursor; no wrapping, for a character that is wider than thought must not move the rest; pastes are marked. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[?2004h\u001b[0m\u001b[2J';
const LEAVE = '\u001b[0m\u001b[?2004l\u001b[?7h\u001b[?25h\u001b[?1049l';

const [STDIN, STDOUT, STDERR] = [0, 1, 2];

export class Screen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  #shown: readonly string[] = [];
  #isEntered = false;

  constructor(input: ReadStream, output: WriteStream) {
    this.#input = input;
    this.#output = output;
  }

  /** A terminal may say 0 columns: it does not know. */
  get size(): Size {
    return { width: this.#output.columns || 80, height: this.#output.rows || 24 };
  }

  get isEntered(): boolean {
    return this.#isEntered;
  }

  enter(): void {
    // libuv sets a mode only when it thinks that it is another one, and who had the terminal meanwhile may have changed it.
    if (this.#input.isRaw) this.#input.setRawMode(false);
    this.#input.setRawMode(true);
    this.#output.write(ENTER);
    this.#shown = [];
    this.#isEntered = true;
  }

  leave(): void {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    if (!isatty(STDOUT)) {
      forgetTerminal();
      return;
    }
    this.#output.write(LEAVE);
    this.#input.setRawMode(false);
  }

  /** Everything is written anew the next time. */
  forget(): void {
    this.#shown = [];
    if (this.#isEntered) this.#output.write('\u001b[0m\u001b[2J');
  }

  /** Writes the lines that have changed. False when the terminal has not taken what came before: nothing is written then. */
  draw(lines: readonly string[]): boolean {
    if (!this.#isEntered || this.#output.writableNeedDrain) return false;
    const changes = lines.flatMap((line, index) =>
      line === this.#shown[index] ? [] : [`\u001b[${index + 1};1H\u001b[2K${line}`],
    );
    this.#shown = lines;
    if (changes.length > 0) this.#output.write(changes.join(''));
    return true;
  }
}

/** Node sets the modes of its terminal back when it exits, and aborts when there is none any more (ResetStdio, EIO); of a file that took its place it keeps off. */
function forgetTerminal(): void {
  for (const fd of process.stderr.isTTY ? [STDIN, STDOUT, STDERR] : [STDIN, STDOUT]) {
    closeSync(fd);
    openSync('/dev/null', 'r+');
  }
}
