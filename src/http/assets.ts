/** The files of the page: read when they are asked for. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type Asset = {
  readonly type: string;
  read(): Promise<{ readonly body: Buffer; readonly etag: string }>;
};

const FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/page.js': { file: 'page.js', type: 'text/javascript; charset=utf-8' },
  '/page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
};

export class Assets {
  /** By path. */
  readonly all: Readonly<Record<string, Asset>>;

  /** Default: the folder `page` beside the built file. */
  constructor(folder: string = join(__dirname, 'page')) {
    this.all = Object.fromEntries(
      Object.entries(FILES).map(([path, { file, type }]) => [
        path,
        { type, read: () => readAsset(join(folder, file)) },
      ]),
    );
  }
}

async function readAsset(path: string) {
  const body = await readFile(path);
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` };
}
