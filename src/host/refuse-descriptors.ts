/**
 * Unix sockets over which no process can pass descriptors. The kernel closes those that are not taken, in our name: the
 * close of a TCP socket with SO_LINGER takes as long as its sender chose. Needs koffi and Linux 6.16 (SO_PASSRIGHTS).
 */
import type { Server, Socket } from 'node:net';
import { loadNative, nativeNow } from './native.ts';
import { descriptorOf } from './new-connections.ts';

/** `gsup run` starts its service before it loads koffi. */
const LOAD_AFTER_MS = 100;

/** At once where koffi is loaded, else soon; connections of a server refuse them like the server. */
export function refuseDescriptors(socket: Server | Socket): void {
  if (nativeNow() === null) setTimeout(() => void loadNative().then(() => refuse(socket)), LOAD_AFTER_MS).unref();
  else refuse(socket);
}

function refuse(socket: Server | Socket): void {
  const fd = descriptorOf(socket);
  if (fd !== null) nativeNow()?.refuseDescriptors(fd);
}
