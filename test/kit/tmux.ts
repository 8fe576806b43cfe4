/** A terminal under test: a shell in a tmux of the test's own. */
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const CEILING_MS = 20_000;
/** tmux tells nobody of what is written. */
const LOOK_MS = 50;

export const HAS_TMUX = spawnSync('tmux', ['-V']).status === 0;

/** What a terminal has been put into: cursor shown, wrapping on, the usual screen. */
export const AS_IT_WAS = { cursor: '1', wrap: '1', alternate: '0' };

export class Terminal implements AsyncDisposable {
  readonly #server = `gsup-test-${process.pid}-${randomUUID().slice(0, 8)}`;

  /** `env`: of the shell. Its prompt is `$ `. */
  constructor(env: Readonly<Record<string, string>>, { width = 80, height = 24 } = {}) {
    const variables = Object.entries({ PS1: '$ ', ...env }).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    const size = ['-x', String(width), '-y', String(height)];
    this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, ...variables, 'bash --norc --noprofile');
  }

  /** `gsup` with these arguments, as it is typed. */
  static gsup(args: string): string {
    return `${process.env['TEST_NODE'] ?? process.execPath} ${join(ROOT, 'bin/gsup.js')} ${args}`;
  }

  /** Types a line and Enter. */
  line(text: string): void {
    this.#tmux('send-keys', '-l', text);
    this.keys('Enter');
  }

  /** Keys by the names that tmux has for them. */
  keys(...names: readonly string[]): void {
    this.#tmux('send-keys', ...names);
  }

  resize(width: number, height: number): void {
    this.#tmux('resize-window', '-x', String(width), '-y', String(height));
  }

  get lines(): readonly string[] {
    return this.#tmux('capture-pane', '-p').split('\n').slice(0, -1);
  }

  get text(): string {
    return this.lines.join('\n').trimEnd();
  }

  get modes(): Readonly<Record<string, string>> {
    return JSON.parse(
      this.#tmux('display', '-p', '{"cursor":"#{cursor_flag}","wrap":"#{wrap_flag}","alternate":"#{alternate_on}"}'),
    );
  }

  /** The pid of the one child that the shell has. */
  get foregroundPid(): number {
    const shell = this.#tmux('display', '-p', '#{pane_pid}').trim();
    return Number(spawnSync('ps', ['--ppid', shell, '-o', 'pid=']).stdout.toString().trim());
  }

  /** The terminal is gone, as when a window or a connection is closed. */
  close(): void {
    this.#tmux('kill-session');
  }

  /** Waits until the screen matches. */
  async shows(pattern: RegExp): Promise<string> {
    return await this.until(`${pattern}`, () => (pattern.test(this.text) ? this.text : undefined));
  }

  /** Waits until `find` has something. */
  async until<T>(what: string, find: () => T | undefined): Promise<T> {
    const deadline = Date.now() + CEILING_MS;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`waited in vain for ${what}; the screen:\n${this.text}`);
      await new Promise((later) => setTimeout(later, LOOK_MS));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const end = spawn('tmux', ['-L', this.#server, 'kill-server'], { stdio: 'ignore' });
    await new Promise((ended) => end.once('close', ended));
  }

  #tmux(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('tmux', ['-L', this.#server, ...args], {
      env: { ...process.env, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', TERM: 'xterm-256color' },
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout.toString();
  }
}
