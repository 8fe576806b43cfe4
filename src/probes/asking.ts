/** All that is loaded only when a service has a check or a hook, as one file: each lazy one brings its own copy of what it needs. */
export { runProgram } from './check.ts';
export { watchLiveness } from './liveness.ts';
export { untilReady } from './readiness.ts';
