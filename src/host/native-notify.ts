/** The Unix datagram sockets that Node doesn't have, by koffi: an optional dependency, `null` where it is missing. */
import { getSystemErrorName } from 'node:util';
import type Koffi from 'koffi';

/** sys/socket.h: AF_UNIX; SOCK_DGRAM with SOCK_CLOEXEC and SOCK_NONBLOCK; MSG_TRUNC; MSG_NOSIGNAL. */
const UNIX = 1;
const DATAGRAM_CLOSED_ON_EXEC_NONBLOCKING = 2 | 0x80000 | 0x800;
const WHOLE_LENGTH = 0x20;
/** MSG_PEEK with MSG_DONTWAIT; MSG_CTRUNC: there was no room for all that came along. */
const LOOK = 0x2 | 0x40;
const HAS_MORE = 0x8;
const DATAGRAM_CLOSED_ON_EXEC = 2 | 0x80000;
const NO_SIGNAL = 0x4000;
/** sys/socket.h: SOL_SOCKET, SO_PASSCRED, SCM_CREDENTIALS; struct ucred is pid, uid and gid. */
const SOCKET_LEVEL = 1;
const PASS_CREDENTIALS = 16;
const CREDENTIALS = 2;
const CREDENTIALS_BYTES = 12;
/** sys/un.h: the family and the path with its NUL. */
const ADDRESS_BYTES = 110;
const PATH_AT = 2;
const ON = Buffer.from(new Int32Array([1]).buffer);

/** Who has sent a datagram, by the word of the kernel; pid 0 is one of another PID namespace. */
export type Sender = { readonly pid: number; readonly uid: number };

export type Received = { readonly length: number; readonly sender: Sender | null };

export type NativeNotify = {
  /** A datagram socket bound to `path`, which must be free; else the name of the error, as EACCES. */
  bindDatagram(path: string): { readonly fd: number } | { readonly error: string };
  /**
   * Takes one datagram: its whole length, be it longer than the buffer, or -1 when there is none; and its sender, `null`
   * where the kernel does not name it. Descriptors that come along are closed by the kernel, for there is no room for
   * them (unix(7), MSG_CTRUNC).
   */
  receive(fd: number, buffer: Buffer): Received;
  /** Whether descriptors come along with the next datagram: their close may take as long as its sender wants (SO_LINGER). */
  hasDescriptors(fd: number): boolean;
  /** Like `receive`, in a thread of its own, which is held up in our place. `fd` must stay open. */
  receiveAside(fd: number, buffer: Buffer): Promise<Received>;
  /** A datagram to `path`, or to an abstract name that begins with `@`; the name of the error, or `null`. */
  send(path: string, text: string): string | null;
};

let loaded: Promise<NativeNotify | null> | null = null;
let present: NativeNotify | null = null;

/** It, where it has been loaded already. */
export function nativeNotifyNow(): NativeNotify | null {
  return present;
}

/** Loads it once; every later call answers the same. */
export function loadNativeNotify(): Promise<NativeNotify | null> {
  loaded ??= import('koffi').then(
    ({ default: koffi }) => {
      present = bind(koffi);
      return present;
    },
    () => null,
  );
  return loaded;
}

function bind(koffi: typeof Koffi): NativeNotify {
  const libc = koffi.load(null as unknown as string);
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const bindTo = libc.func('int bind(int fd, void *address, unsigned int length)');
  const close = libc.func('int close(int fd)');
  const setOption = libc.func('int setsockopt(int fd, int level, int name, void *value, unsigned int length)');
  const part = koffi.struct({ base: 'void *', length: 'size_t' });
  const header = koffi.struct({
    name: 'void *',
    nameLength: 'unsigned int',
    parts: koffi.pointer(part),
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const recvmsg = libc.func('recvmsg', 'long', ['int', koffi.pointer(header), 'int']);
  const lookAt = libc.func('recvmsg', 'long', ['int', koffi.inout(koffi.pointer(header)), 'int']);
  /** Behind the length, level and type of struct cmsghdr. */
  const credentialsAt = koffi.sizeof('size_t') + 8;
  const newControl = () => Buffer.from(new ArrayBuffer(credentialsAt + CREDENTIALS_BYTES));
  const control = newControl();
  const messageFor = (buffer: Buffer | null, room: Buffer) => ({
    name: null,
    nameLength: 0,
    parts: buffer === null ? null : [{ base: buffer, length: buffer.length }],
    partCount: buffer === null ? 0 : 1,
    control: room,
    controlLength: room.length,
    flags: 0,
  });
  const senderIn = (room: Buffer): Sender | null => {
    const [type, pid = 0, uid = 0] = new Uint32Array(room.buffer, credentialsAt - 4, 3);
    return type === CREDENTIALS ? { pid, uid } : null;
  };
  const sendto = libc.func(
    'long sendto(int fd, void *buffer, size_t length, int flags, void *address, unsigned int addressLength)',
  );
  const errorName = () => getSystemErrorName(-koffi.errno());
  return {
    bindDatagram: (path) => {
      const fd = Number(socket(UNIX, DATAGRAM_CLOSED_ON_EXEC_NONBLOCKING, 0));
      if (fd < 0) return { error: errorName() };
      const address = Buffer.alloc(ADDRESS_BYTES);
      address.writeUInt16LE(UNIX);
      address.write(path, PATH_AT);
      // Before anything can be sent to it.
      const isNamed = Number(setOption(fd, SOCKET_LEVEL, PASS_CREDENTIALS, ON, ON.length)) === 0;
      if (isNamed && Number(bindTo(fd, address, address.length)) === 0) return { fd };
      const error = errorName();
      close(fd);
      return { error };
    },
    send: (path, text) => {
      const fd = Number(socket(UNIX, DATAGRAM_CLOSED_ON_EXEC, 0));
      if (fd < 0) return errorName();
      // An abstract name begins with a NUL, and ends where the length says: unix(7).
      const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
      const address = Buffer.alloc(PATH_AT + name.length + (path.startsWith('@') ? 0 : 1));
      address.writeUInt16LE(UNIX);
      name.copy(address, PATH_AT);
      const bytes = Buffer.from(text);
      const error =
        Number(sendto(fd, bytes, bytes.length, NO_SIGNAL, address, address.length)) < 0 ? errorName() : null;
      close(fd);
      return error;
    },
    receive: (fd, buffer) => {
      control.fill(0);
      const length = Number(recvmsg(fd, messageFor(buffer, control), WHOLE_LENGTH));
      return { length, sender: senderIn(control) };
    },
    hasDescriptors: (fd) => {
      const message = messageFor(null, control);
      return Number(lookAt(fd, message, LOOK)) >= 0 && (message.flags & HAS_MORE) !== 0;
    },
    receiveAside: (fd, buffer) =>
      new Promise((resolve, reject) => {
        const room = newControl();
        const message = messageFor(buffer, room);
        recvmsg.async(fd, message, WHOLE_LENGTH, (error: Error | null, length: unknown) =>
          error === null ? resolve({ length: Number(length), sender: senderIn(room) }) : reject(error),
        );
      }),
  };
}
