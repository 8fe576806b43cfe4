/** The preload of Node scripts, built, and services whose script has it. */
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import type { SocketSpec } from '../../src/core/service.ts';
import { Sockets } from '../../src/host/sockets.ts';
import type { Folder } from './gsup.ts';
import { type Heir, nodeHeir } from './inherited.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Into `folder`; its path. */
export function buildPreload(folder: Folder): string {
  const outfile = join(folder.path, 'listen.cjs');
  buildSync({
    entryPoints: [join(ROOT, 'src/preload/listen.ts')],
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    outfile,
  });
  return outfile;
}

/** This Node and, where TEST_NODE names another, that one. */
export function nodesToTry(): readonly string[] {
  const other = process.env['TEST_NODE'];
  if (other !== undefined && other !== process.execPath) return [process.execPath, other];
  console.log(`only Node ${process.versions.node} is tried: TEST_NODE names no other`);
  return [process.execPath];
}

export type ServiceOptions = {
  readonly preload: string;
  /** The Node that runs it. */
  readonly file: string;
  readonly specs: readonly SocketSpec[];
  readonly env?: Readonly<Record<string, string>>;
};

/** A service's sockets, and one Node script that has them. */
export class Service implements AsyncDisposable {
  readonly sockets = new Sockets();
  readonly heir: Heir;
  readonly fds: readonly number[];

  constructor({ preload, file, specs, env = {} }: ServiceOptions) {
    this.fds = this.sockets.open('web', specs);
    this.heir = nodeHeir(preload, specs, { file, fds: this.fds, env });
  }

  do(body: string): Promise<unknown> {
    return this.heir.do(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heir.end();
    this.sockets.closeAll(true);
  }
}

/** What a server of HTTP/1.1 answers, and then ends. */
export const GET = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
