/** The sockets that this process was started with: systemd's protocol, sd_listen_fds(3), from its receiving side. */
import type { HandedIn } from '../core/activation.ts';
import { addressOf, inodeOf, nameOf } from './socket-table.ts';

const FIRST_FD = 3;

/**
 * Those that are meant for this process; `others` are descriptors that listen nowhere (datagrams, FIFOs, devices).
 * Node has closed them on exec already, as it does with everything it was started with.
 */
export function handedIn(environment: Readonly<Record<string, string | undefined>>): {
  readonly sockets: readonly HandedIn[];
  readonly others: readonly { readonly fd: number; readonly name: string }[];
} {
  const { LISTEN_FDS: count, LISTEN_PID: pid, LISTEN_FDNAMES: text = '' } = environment;
  if (Number(pid) !== process.pid || !(Number(count) > 0)) return { sockets: [], others: [] };
  const names = text.split(':');
  const all = Array.from({ length: Number(count) }, (_, index) => {
    const fd = FIRST_FD + index;
    const inode = inodeOf(nameOf('self', fd));
    return { fd, name: names[index] || 'unknown', address: inode === null ? null : addressOf(inode) };
  });
  return {
    sockets: all.flatMap(({ fd, name, address }) => (address === null ? [] : [{ fd, name, address }])),
    others: all.filter(({ address }) => address === null),
  };
}
