// dumb-init and tini, where the system has them: C, one child, a signal forwarded.
import { hasProgram, outputOf } from '../kit/commands.mjs';

export function dumbInit(scratch) {
  return smallInit(scratch, 'dumb-init', ['-c']);
}

export function tini(scratch) {
  return smallInit(scratch, 'tini', ['-s', '--']);
}

function smallInit(scratch, name, options) {
  if (!hasProgram(name)) return 'not installed';
  return {
    name,
    mark: name,
    version: /\d+(\.\d+)+/.exec(outputOf(['sh', '-c', `${name} --version 2>&1`]) ?? '')?.[0] ?? '',
    environment: scratch.environment(name),
    argvOf: (words) => [name, ...options, ...words],
  };
}
