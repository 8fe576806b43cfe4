// Waiting with a ceiling: whatever hangs ends the bench, or the part of the peer that hangs.
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

export const STEP_CEILING_MS = 120_000;

export function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(isTrue, what, everyMs = 3, ceilingMs = STEP_CEILING_MS) {
  for (const latest = performance.now() + ceilingMs; performance.now() < latest; await later(everyMs)) {
    if (isTrue()) return;
  }
  throw new Error(`not within ${ceilingMs / 1000} s: ${what}`);
}

export function within(promise, what, ceilingMs = STEP_CEILING_MS) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ceilingMs / 1000} s: ${what}`)), ceilingMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The words that come through a FIFO, and when. */
export function listenTo(path) {
  const socket = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK) });
  let take = () => {};
  socket.on('data', (bytes) => take({ word: bytes.toString().trim(), at: performance.now() }));
  return {
    next: (ceilingMs = STEP_CEILING_MS) =>
      within(new Promise((resolve) => (take = resolve)), `a word comes through ${path}`, ceilingMs),
    close: () => socket.destroy(),
  };
}
