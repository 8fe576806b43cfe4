// Where the programs are that the bench has supervised.
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const GSUP = join(ROOT, 'bin/gsup.js');

const program = (name) => join(ROOT, 'bench/programs', name);
export const APP = program('app.mjs');
export const CLIENT = program('client.mjs');
export const CLOCK = program('clock.mjs');
export const FORWARDER = program('forwarder.mjs');
export const HAMMER = program('hammer.mjs');
export const SLICES = program('slices.mjs');
export const WRITER = program('writer.mjs');
