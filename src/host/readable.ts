/** Tells when a descriptor has become readable, and reads nothing: what is in it stays in the kernel. */

type PipeHandle = {
  open(fd: number): number;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  close(): void;
  onread: () => void;
};
type PipeBinding = { readonly Pipe: new (type: number) => PipeHandle; readonly constants: { readonly SOCKET: number } };

export type Readable = {
  /** Stops telling, and goes on. */
  pause(): void;
  resume(): void;
  /** Closes the descriptor too. */
  close(): void;
};

/**
 * Calls back whenever `fd` (a FIFO, a pidfd) is readable, or its other end is gone. libuv asks for a buffer before it
 * reads; one without room makes it tell and leave the bytes alone (UV_ENOBUFS), again and again until they are taken.
 */
export function whenReadable(fd: number, callback: () => void): Readable {
  // Node has no public way to watch a descriptor that it is not to read.
  const binding = (process as unknown as { binding(name: string): PipeBinding }).binding('pipe_wrap');
  const handle = new binding.Pipe(binding.constants.SOCKET);
  const error = handle.open(fd);
  if (error !== 0) throw new Error(`cannot watch the descriptor ${fd}: error ${error}`);
  handle.useUserBuffer(new Uint8Array(0));
  handle.onread = callback;
  handle.readStart();
  return {
    pause: () => void handle.readStop(),
    resume: () => void handle.readStart(),
    close: () => handle.close(),
  };
}
