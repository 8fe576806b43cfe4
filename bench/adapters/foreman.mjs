// foreman's npm package, installed by npm for the bench alone: a Procfile in the foreground.
import { join } from 'node:path';
import { installed, versionOf } from '../kit/npm.mjs';

export function foreman(scratch) {
  const prefix = installed(scratch, 'foreman', ['foreman@3']);
  if (prefix === null) return 'npm can not install it';
  return {
    name: 'foreman',
    mark: 'foreman',
    version: versionOf(prefix, 'foreman'),
    environment: scratch.environment('foreman'),
    /** SIGTERM ends it and leaves its processes behind. */
    stopSignal: 'SIGINT',
    /** What it exits with when a command has ended well. */
    overStatuses: [0, 1],
    argvOf: (words) => {
      const file = scratch.write('Procfile', `one: exec ${words.join(' ')}\n`);
      return [process.execPath, join(prefix, 'node_modules/foreman/nf.js'), 'start', '-j', file];
    },
  };
}
