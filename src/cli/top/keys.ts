/** Bytes of a terminal → keys. What is pasted is one key, so that no letter of it stops a service. */

/** A character, or a name: `up`, `enter`, `ctrl-c`, `paste:TEXT`. */
export type Key = string;

const NAMED: Readonly<Record<string, Key>> = {
  '\u001b[A': 'up',
  '\u001bOA': 'up',
  '\u001b[B': 'down',
  '\u001bOB': 'down',
  '\u001b[H': 'home',
  '\u001bOH': 'home',
  '\u001b[1~': 'home',
  '\u001b[7~': 'home',
  '\u001b[F': 'end',
  '\u001bOF': 'end',
  '\u001b[4~': 'end',
  '\u001b[8~': 'end',
  '\u001b[5~': 'pageup',
  '\u001b[6~': 'pagedown',
  '\u001b': 'escape',
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u007f': 'backspace',
  '\b': 'backspace',
};
const PASTE = '\u001b[200~';
const PASTE_END = '\u001b[201~';
const LONGEST_PASTE = 1_000;
const ESCAPE = '\u001b';
/** After the escape: CSI, SS3, another key (it was typed), or one character (Alt). */
const AFTER_ESCAPE = /^(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^[O])/u;

/** Keeps what is not whole yet until its rest comes, or `flush` says that none does. */
export class KeyReader {
  #rest = '';

  /** Whether something waits for its rest: an Escape, or the begin of a sequence. */
  get isWaiting(): boolean {
    return this.#rest !== '';
  }

  read(text: string): readonly Key[] {
    const keys: Key[] = [];
    let rest = this.#rest + text;
    for (;;) {
      if (rest.startsWith(PASTE)) {
        const end = rest.indexOf(PASTE_END);
        if (end < 0) break;
        keys.push(
          `paste:${rest
            .slice(PASTE.length, end)
            .replace(/\p{Cc}/gu, '')
            .slice(0, LONGEST_PASTE)}`,
        );
        rest = rest.slice(end + PASTE_END.length);
        continue;
      }
      const sequence = sequenceOf(rest);
      if (sequence === null) break;
      rest = rest.slice(sequence.length);
      const key = keyOf(sequence);
      if (key !== null) keys.push(key);
    }
    this.#rest = rest;
    return keys;
  }

  /** Nothing follows: an Escape is an Escape; half a sequence is nothing. */
  flush(): readonly Key[] {
    if (this.#rest.startsWith(PASTE)) return [];
    const keys = this.#rest === ESCAPE ? ['escape'] : [];
    this.#rest = '';
    return keys;
  }
}

/** What stands for one key; `null`: it is not whole yet, or there is nothing. */
function sequenceOf(text: string): string | null {
  if (!text.startsWith(ESCAPE)) return [...text.slice(0, 2)][0] ?? null;
  if (text.startsWith(ESCAPE, 1)) return ESCAPE;
  const after = AFTER_ESCAPE.exec(text.slice(1))?.[0];
  return after === undefined ? null : `${ESCAPE}${after}`;
}

/** `null`: none that means anything here. */
function keyOf(sequence: string): Key | null {
  const named = NAMED[sequence];
  if (named !== undefined) return named;
  const code = sequence.codePointAt(0) ?? 0;
  if (sequence.length === 1 && code > 0 && code < 27) return `ctrl-${String.fromCharCode(code + 96)}`;
  return sequence.startsWith(ESCAPE) || code < 32 ? null : sequence;
}
