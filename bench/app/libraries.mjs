// The libraries of a graceful end that stand beside `gsup/app`, each in front of the same server.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, versionOf } from '../kit/npm.mjs';
import { ROOT } from '../kit/programs.mjs';

/** What every library may take, where it can be set. */
const GRACE_MS = 10_000;
export const WHOLE = `${'whole '.repeat(170)}\n`;

/** `load`: a line of the app's module; `use`: what its documentation tells to do with `server`, before it listens. */
const LIBRARIES = [
  {
    name: 'gsup/app',
    module: 'gsup/app',
    load: "import { createShutdown } from 'gsup/app';",
    use: `const shutdown = createShutdown({ timeout: ${GRACE_MS} });
shutdown.server(server);
server.on('listening', () => shutdown.ready());`,
  },
  {
    name: 'bare',
    load: '',
    use: "process.once('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });",
  },
  {
    name: 'http-terminator',
    module: 'http-terminator',
    load: "import { createHttpTerminator } from 'http-terminator';",
    use: `const terminator = createHttpTerminator({ server, gracefulTerminationTimeout: ${GRACE_MS} });
process.once('SIGTERM', async () => { await terminator.terminate(); process.exit(0); });`,
  },
  {
    name: 'stoppable',
    module: 'stoppable',
    load: "import stoppable from 'stoppable';",
    use: `stoppable(server, ${GRACE_MS});
process.once('SIGTERM', () => server.stop(() => process.exit(0)));`,
  },
  {
    name: 'terminus',
    module: '@godaddy/terminus',
    load: "import terminus from '@godaddy/terminus';",
    use: `terminus.createTerminus(server, { timeout: ${GRACE_MS}, useExit0: true });`,
  },
  {
    name: 'lightship',
    module: 'lightship',
    load: "import { createLightship } from 'lightship';",
    use: `const lightship = await createLightship({ shutdownHandlerTimeout: ${GRACE_MS} });
lightship.registerShutdownHandler(() => { server.close(); });
server.on('listening', () => lightship.signalReady());`,
  },
  {
    name: 'close-with-grace',
    module: 'close-with-grace',
    load: "import closeWithGrace from 'close-with-grace';\nimport { promisify } from 'node:util';",
    use: `closeWithGrace({ delay: ${GRACE_MS} }, async () => { await promisify(server.close.bind(server))(); });`,
  },
];

/** /busy is answered, and the second half of /stream, when the bench says so; all is said on fd 3, that keeps nothing alive. */
const appOf = ({ load, use }) => `${load}
import { createServer } from 'node:http';
import { Socket } from 'node:net';
const WHOLE = ${JSON.stringify(WHOLE)};
const waiting = new Map();
let served = 0;
const server = createServer((request, response) => {
  served++;
  if (request.url === '/') return void response.end('ok\\n');
  response.setHeader('Content-Length', WHOLE.length);
  if (request.url === '/stream') response.write(WHOLE.slice(0, 500));
  waiting.set(response, request.url === '/stream' ? WHOLE.slice(500) : WHOLE);
});
if (process.env.KEEP_ALIVE_MS) server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS);
${use}
const bench = new Socket({ fd: 3 });
const tell = (record) => bench.write(JSON.stringify(record) + '\\n');
const commands = {
  answer: () => { for (const [response, rest] of waiting) response.end(rest); },
  count: () => server.getConnections((_error, connections) => tell({ connections, served, waiting: waiting.size })),
  memory: async () => {
    // Twice, with a turn of the loop between: finalizers run in it.
    for (let n = 0; n < 3; n++) { gc(); await new Promise((turn) => setTimeout(turn, 50)); }
    tell(process.memoryUsage());
  },
};
bench.setEncoding('utf8').on('data', (text) => { for (const word of text.trim().split('\\n')) commands[word](); });
bench.on('error', () => {}).unref();
server.listen(0, '127.0.0.1', 4096, () => tell({ port: server.address().port }));
`;

let made = null;

/** Installed once, into a prefix where `gsup` is this repository: `{ libraries, prefix, write }`, each library with its `script`. */
export function contestants({ scratch, versions }) {
  made ??= install(scratch, versions);
  return made;
}

function install(scratch, versions) {
  const modules = LIBRARIES.flatMap(({ module }) => (module === undefined || module === 'gsup/app' ? [] : [module]));
  const prefix = installed(scratch, 'app', modules);
  if (prefix === null) throw new Error(`${modules.join(', ')} can not be installed by npm`);
  mkdirSync(join(prefix, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(prefix, 'node_modules/gsup'));
  for (const module of ['gsup', ...modules]) versions.set(module, versionOf(prefix, module));
  const write = (name, text) => {
    const path = join(prefix, name);
    writeFileSync(path, text);
    return path;
  };
  const libraries = LIBRARIES.map((library, at) => ({ ...library, script: write(`app-${at}.mjs`, appOf(library)) }));
  return { libraries, prefix, write };
}
