/** The link of `gsup run`: its path is known at once, and it is opened while the first child starts. */
import { join } from 'node:path';
import { makeOwnFolder, removeOwnFolder, socketFolders } from '../api/safe-folder.ts';
import type { LinkOptions, LinkServer } from '../host/link.ts';
import { isLinkFile, newLinkName } from '../host/link-files.ts';
import type { Link } from '../supervisor/supervisor.ts';
import { LINK_FOLDER, markOwner } from './link-owner.ts';

export type LateLink = Link & {
  open(options: Pick<LinkOptions, 'leaderOf' | 'hear'>): Promise<void>;
  /** Removes what there is of it. */
  close(): void;
};

/** `null` where no folder can be made for it: services run without. */
export function lateLink(): LateLink | null {
  // Services of root may run as other users.
  const isShared = process.geteuid?.() === 0;
  const folder = makeOwnFolder(socketFolders(), LINK_FOLDER, isShared ? 0o711 : 0o700);
  if (folder === null) return null;
  markOwner(folder);
  const path = join(folder, newLinkName());
  let server: LinkServer | null = null;
  return {
    path,
    send: (token, message) => server?.send(token, message),
    open: async ({ leaderOf, hear }) => {
      const { openLink } = await import('../host/link.ts');
      server = await openLink({ path, mode: isShared ? 0o666 : 0o600, leaderOf, hear });
    },
    close: () => {
      server?.close();
      removeOwnFolder(folder, isLinkFile);
    },
  };
}
