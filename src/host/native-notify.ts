/** The Unix datagram sockets that Node doesn't have, by koffi: an optional dependency, `null` where it is missing. */
import { getSystemErrorName } from 'node:util';
import type Koffi from 'koffi';

/** sys/socket.h: AF_UNIX; SOCK_DGRAM with SOCK_CLOEXEC and SOCK_NONBLOCK; MSG_TRUNC; MSG_NOSIGNAL. */
const UNIX = 1;
const DATAGRAM_CLOSED_ON_EXEC_NONBLOCKING = 2 | 0x80000 | 0x800;
const WHOLE_LENGTH = 0x20;
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

export type NativeNotify = {
  /** A datagram socket bound to `path`, which must be free; else the name of the error, as EACCES. */
  bindDatagram(path: string): { readonly fd: number } | { readonly error: string };
  /**
   * Takes one datagram: its whole length, be it longer than the buffer, or -1 when there is none; and its sender, `null`
   * where the kernel does not name it. Descriptors that come along are closed by the kernel, for there is no room for
   * them (unix(7), MSG_CTRUNC).
   */
  receive(fd: number, buffer: Buffer): { readonly length: number; readonly sender: Sender | null };
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
  /** Behind the length, level and type of struct cmsghdr. */
  const credentialsAt = koffi.sizeof('size_t') + 8;
  const control = Buffer.from(new ArrayBuffer(credentialsAt + CREDENTIALS_BYTES));
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
      const message = {
        name: null,
        nameLength: 0,
        parts: [{ base: buffer, length: buffer.length }],
        partCount: 1,
        control,
        controlLength: control.length,
        flags: 0,
      };
      const length = Number(recvmsg(fd, message, WHOLE_LENGTH));
      const [type, pid = 0, uid = 0] = new Uint32Array(control.buffer, credentialsAt - 4, 3);
      return { length, sender: type === CREDENTIALS ? { pid, uid } : null };
    },
  };
}
