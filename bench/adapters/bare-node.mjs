// The least that Node can do as a supervisor of one command.
import { FORWARDER } from '../kit/programs.mjs';

export function bareNode(scratch) {
  return {
    name: 'bare Node',
    mark: 'bare-node',
    version: process.versions.node,
    environment: scratch.environment('bare-node'),
    argvOf: (words) => [process.execPath, FORWARDER, ...words],
  };
}
