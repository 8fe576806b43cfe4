/** Fresh sockets for a spare instance: ports of the kernel's choice on 127.0.0.1, paths in a folder of their own. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeOwnFolder, removeOwnFolder, socketFolders } from '../api/safe-folder.ts';
import type { HandedIn } from '../core/activation.ts';
import { EXIT, GsupError } from '../core/error.ts';
import type { SocketAddress, SocketSpec } from '../core/service.ts';
import type { Moved } from '../core/spare.ts';
import { type BoundSocket, loadNativeSockets } from '../host/native-sockets.ts';
import { plainSockets } from '../host/plain-sockets.ts';
import { addressOf, inodeOf, nameOf } from '../host/socket-table.ts';

export type SpareSockets = {
  readonly moved: readonly Moved[];
  /** As if they had been handed in for the addresses of the service: that is what the instance asks for. */
  readonly handedIn: readonly HandedIn[];
  /** By which they are known when they are closed here. */
  readonly inodes: readonly { readonly inode: string; readonly address: SocketAddress }[];
  /** Where its Unix sockets are; `null`: there are none. */
  readonly folder: string | null;
  close(): void;
};

/** One for each of `specs`, listening. @throws {GsupError} when one can't be had; none is left open then. */
export async function openSpareSockets(specs: readonly SocketSpec[]): Promise<SpareSockets> {
  const calls = specs.length === 0 ? plainSockets : ((await loadNativeSockets()) ?? plainSockets);
  const hasPaths = specs.some(({ address }) => address.kind === 'unix');
  const folder = hasPaths ? folderForPaths() : null;
  const open: BoundSocket[] = [];
  const close = (): void => {
    for (const socket of open.splice(0)) socket.close();
    if (folder !== null) removeOwnFolder(folder, (name) => /^\d+\.sock$/.test(name));
  };
  try {
    const all = specs.map(({ name, address: from, backlog }, index) => {
      const bound = calls.bind(wantedFor(from, folder, index));
      if (typeof bound === 'string') throw refused(name, bound);
      open.push(bound);
      const code = calls.listen(bound.fd, backlog);
      if (code !== null) throw refused(name, code);
      const inode = inodeOf(nameOf('self', bound.fd)) ?? '';
      const to = addressOf(inode);
      if (to === null) throw refused(name, 'the kernel does not list it');
      return { inode, fd: bound.fd, name, from, to };
    });
    return {
      moved: all.map(({ from, to }) => ({ from, to })),
      handedIn: all.map(({ fd, name, from }) => ({ fd, name, address: from })),
      inodes: all.map(({ inode, to }) => ({ inode, address: to })),
      folder,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function wantedFor(address: SocketAddress, folder: string | null, index: number): SocketAddress {
  if (address.kind === 'unix' && folder !== null) return { kind: 'unix', path: join(folder, `${index}.sock`) };
  return { kind: 'tcp', host: '127.0.0.1', port: 0 };
}

function folderForPaths(): string {
  const folder = makeOwnFolder([tmpdir(), ...socketFolders()], 'gsup-drill-', 0o700);
  if (folder !== null) return folder;
  const hint = 'set TMPDIR to a folder of your own';
  throw new GsupError('cannot listen for the spare: no folder can be made for its Unix sockets', {
    exitStatus: EXIT.failed,
    hint,
  });
}

function refused(name: string, why: string): GsupError {
  return new GsupError(`cannot listen for the spare's socket ${name}: ${why}`, { exitStatus: EXIT.failed });
}
