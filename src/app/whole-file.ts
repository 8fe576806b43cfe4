/** A file that is read and replaced as a whole: a reader sees the old content or the new, after a power cut too. */
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Loaded when they are used: that takes a millisecond. */
const files = () => import('node:fs/promises');

export class WholeFile {
  readonly #path: string;
  /** What the file was like when it was last seen. */
  #like: Stats | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Its text; `null`: there is no such file. */
  async read(): Promise<string | null> {
    const { readFile } = await files();
    try {
      return await readFile(this.#path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  /** Keeps a broken one under another name, which is returned. */
  async setAside(): Promise<string> {
    const { rename } = await files();
    const target = await this.#target();
    const aside = `${target}.broken-${Date.now()}`;
    await rename(target, aside);
    return aside;
  }

  /** The new one has the mode and the owner of the old one; links to it stay. Not replaced any more when `isOver` then. */
  async replace(text: string, over: { readonly isOver: boolean }): Promise<void> {
    const { mkdir, open, rename, rm } = await files();
    const { dirname } = await import('node:path');
    const target = await this.#target();
    const folder = dirname(target);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const { randomBytes } = await import('node:crypto');
    // Others may write to the folder too.
    const beside = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    const handle = await open(beside, 'wx', this.#like === null ? 0o644 : 0o600);
    try {
      await writeThrough(handle, text, this.#like);
      // Its time may be over; the process may even run on.
      if (over.isOver) throw new Error('too late');
      await rename(beside, target);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
    await syncFolder(folder);
  }

  /** Where it is when its path is a link; looks what it is like. */
  async #target(): Promise<string> {
    const { realpath, readlink, stat } = await files();
    const { dirname, resolve } = await import('node:path');
    try {
      const target = await realpath(this.#path);
      this.#like = await stat(target);
      return target;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    // A link to where nothing is yet.
    const link = await readlink(this.#path).catch(() => null);
    return link === null ? this.#path : resolve(dirname(this.#path), link);
  }
}

async function writeThrough(handle: FileHandle, text: string, like: Stats | null): Promise<void> {
  try {
    if (like !== null) {
      // Only root can give files away; what stays ours is not for the other owner's group to write.
      const rights = await handle.chown(like.uid, like.gid).then(
        () => 0o777,
        () => 0o755,
      );
      // Some file systems have no modes.
      await handle.chmod(like.mode & rights).catch(() => {});
    }
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === 'win32') return;
  const { open } = await files();
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
