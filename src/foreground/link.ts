/** The link of `gsup run`: its path is known at once, and it is opened while the first child still begins. */
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinkOptions, LinkServer } from '../host/link.ts';
import type { Link } from '../supervisor/supervisor.ts';

export type LateLink = Link & {
  open(options: Pick<LinkOptions, 'leaderOf' | 'hear'>): Promise<void>;
  /** Removes what there is of it. */
  close(): void;
};

/** `null` where no folder can be made for it: nobody needs it to run. */
export function lateLink(environment: Readonly<Record<string, string | undefined>>): LateLink | null {
  const folder = join(environment['XDG_RUNTIME_DIR'] ?? tmpdir(), `gsup-run-${process.pid}`);
  let server: LinkServer | null = null;
  try {
    rmSync(folder, { recursive: true, force: true });
    // A service may run as another user.
    mkdirSync(folder, { mode: 0o711 });
  } catch {
    return null;
  }
  const path = join(folder, 'link.sock');
  return {
    path,
    send: (token, message) => server?.send(token, message),
    open: async ({ leaderOf, hear }) => {
      const { openLink } = await import('../host/link.ts');
      server = await openLink({ path, mode: 0o666, leaderOf, hear });
    },
    close: () => {
      server?.close();
      try {
        rmdirSync(folder);
      } catch {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}
