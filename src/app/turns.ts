/** Turns of the event loop: in each it takes what the kernel has. */

/** What comes in the middle of a longer one is not taken in it. */
const SHORT_MS = 5;
/** Of an app that is always busy. */
const MOST_TURNS = 10;

/** Resolves after what the kernel has now is read; its length in ms. */
export async function turn(): Promise<number> {
  const began = performance.now();
  await new Promise((resolve) => setImmediate(resolve));
  return performance.now() - began;
}

/** Resolves when everything that had come before this moment, or nearly, is in the hands of the app. */
export async function untilRead(): Promise<void> {
  // The first may be the rest of one that has read already.
  await turn();
  for (let n = 1; n < MOST_TURNS; n += 1) if ((await turn()) < SHORT_MS) return;
}
