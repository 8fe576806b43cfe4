/** Parts of gsup that are loaded late, perhaps when no descriptor is left to open their file with. */
import { isShortage } from '../core/error.ts';

const AGAIN_MS = 500;

/** Loads a module, and tries again as long as there is no descriptor for it. @throws any other failure. */
export async function loadPatiently<T>(load: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await load();
    } catch (error) {
      if (!isShortage(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref());
    }
  }
}
