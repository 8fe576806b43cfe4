// Requests: the clients of the tests, that count what fails, and raw ones that count how many there can be.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { command } from './commands.mjs';
import { CLIENT, HAMMER, ROOT } from './programs.mjs';
import { sum } from './statistics.mjs';
import { STEP_CEILING_MS, within } from './waits.mjs';

/** What has no answer in this time has failed. */
const REQUEST_CEILING_MS = 5_000;
export const CLIENTS = 12;

/** Clients that ask without a pause; resolves when there have been answers. `end()` gives the report. */
export async function startClients(scratch, port) {
  const child = spawn(process.execPath, [CLIENT, await loadModule(scratch)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: scratch.environment('clients'),
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((end) => child.once('exit', end));
  const options = { port, clients: CLIENTS, maxMs: STEP_CEILING_MS, requestMs: REQUEST_CEILING_MS };
  child.stdin.write(`${JSON.stringify(options)}\n`);
  await within(lines.next(), 'the first answers');
  return {
    end: async () => {
      child.stdin.end('\n');
      const { value } = await within(lines.next(), 'the report of the clients');
      await within(ended, 'the end of the clients');
      return JSON.parse(value);
    },
  };
}

/** Of the tests' own load, bundled once. */
async function loadModule(scratch) {
  const outfile = scratch.path('load.mjs');
  if (!existsSync(outfile)) {
    const entryPoints = [join(ROOT, 'test/kit/load.ts')];
    await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile, logLevel: 'error' });
  }
  return outfile;
}

/** Answers in all, from two processes, so that they are not what is measured; every one must come from one of `pids`. */
export async function hammer({ scratch, port, mode, seconds, pids }) {
  const argv = [process.execPath, HAMMER, String(port), mode, String(seconds * 1000)];
  const one = () => command(argv, { environment: scratch.environment('hammer') });
  const reports = (await Promise.all([one(), one()])).map((text) => JSON.parse(text));
  const failures = sum(reports.map((report) => report.failures));
  if (failures > 0) throw new Error(`${failures} requests had no answer`);
  const strange = reports.flatMap((report) => Object.keys(report.pids)).filter((pid) => !pids.includes(Number(pid)));
  if (strange.length > 0) throw new Error(`answers from ${strange}, which is none of ${pids}`);
  return sum(reports.flatMap((report) => Object.values(report.pids)));
}

/** Below the range from which the kernel takes ports for the connections of the clients. */
export async function freePort() {
  for (;;) {
    const port = 16_000 + Math.floor(Math.random() * 16_000);
    const server = createServer();
    const isFree = await new Promise((told) => {
      server.once('error', () => told(false)).listen(port, '127.0.0.1', () => told(true));
    });
    await new Promise((closed) => server.close(closed));
    if (isFree) return port;
  }
}
