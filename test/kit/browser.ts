/** A real Chromium with nothing of anybody's in it; `null` (with the reason printed) where there is none. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
];

export type BrowserOptions = {
  readonly scheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
  readonly args?: readonly string[];
};

export class Browser implements AsyncDisposable {
  readonly #context: BrowserContext;
  readonly #folder: string;
  /** What pages wrote to their consoles as errors, and exceptions that nobody caught. */
  readonly errors: string[] = [];

  private constructor(context: BrowserContext, folder: string) {
    this.#context = context;
    this.#folder = folder;
  }

  static async open({
    scheme = 'light',
    width = 1280,
    height = 800,
    args = [],
  }: BrowserOptions = {}): Promise<Browser | null> {
    if (!existsSync(EXECUTABLE)) {
      console.warn('skipped: there is no Chromium here; apt-get install chromium');
      return null;
    }
    const folder = mkdtempSync(join(tmpdir(), 'gsup-chromium-'));
    const context = await chromium.launchPersistentContext(folder, {
      executablePath: EXECUTABLE,
      args: [...ARGS, ...args],
      headless: true,
      colorScheme: scheme,
      reducedMotion: 'reduce',
      viewport: { width, height },
    });
    return new Browser(context, folder);
  }

  async page(address: string): Promise<Page> {
    const page = await this.#context.newPage();
    page.on('console', (message) => message.type() === 'error' && this.errors.push(message.text()));
    page.on('pageerror', (error) => this.errors.push(String(error)));
    await page.goto(address);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
