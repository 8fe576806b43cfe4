/** Puts `listen.cjs` in front of a Node script, so that its listen() finds the inherited sockets. */
import type { SocketSpec } from '../core/service.ts';

/** Descriptor 3 is the first one. */
const FIRST_FD = 3;

/** The environment of a script with it; the preload takes both variables out again, and leaves NODE_OPTIONS as it was. */
export function withListenPreload(
  env: Readonly<Record<string, string>>,
  preload: string,
  specs: readonly SocketSpec[],
): Record<string, string> {
  const option = `--require=${quote(preload)}`;
  const its = env['NODE_OPTIONS'];
  const sockets = specs.map(({ address, backlog }, index) => {
    const where = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    return { fd: FIRST_FD + index, ...where, backlog };
  });
  const options = its === undefined ? option : `${option} ${its}`;
  return { ...env, GSUP_SOCKETS: JSON.stringify(sockets), NODE_OPTIONS: options };
}

/** As Node splits NODE_OPTIONS: at spaces, but for those in double quotes, where a backslash escapes. */
function quote(path: string): string {
  return /[ "]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&')}"` : path;
}
