// A server with one of the libraries, in a process of its own that the bench talks to.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { later, STEP_CEILING_MS, within } from '../kit/waits.mjs';

/** What has not ended by then is cut. */
const END_CEILING_MS = 15_000;

/** Runs the app with this library until it listens. */
export async function started({ scratch }, { name, script }, environment = {}) {
  const env = scratch.environment('app', environment);
  const child = spawn(process.execPath, ['--expose-gc', script], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const ended = once(child, 'exit').then(([code, signal]) => {
    return { end: signal ?? `exit ${code}`, endedAt: performance.now() };
  });
  const channel = child.stdio[3];
  channel.on('error', () => {});
  const lines = createInterface({ input: channel })[Symbol.asyncIterator]();
  const heard = async () => {
    const { value, done } = await within(lines.next(), `${name}: a word of the app`);
    if (done) throw new Error(`${name} has ended: ${stderr.slice(-500)}`);
    return JSON.parse(value);
  };
  const say = (word) => channel.write(`${word}\n`);
  const ask = (word) => {
    say(word);
    return heard();
  };
  const count = () => ask('count');
  const { port } = await heard();
  return {
    port,
    pid: child.pid,
    say,
    ask,
    count,
    until: async (isSo) => {
      const latest = performance.now() + STEP_CEILING_MS;
      for (let counts = await count(); !isSo(counts); counts = await count()) {
        if (performance.now() > latest) throw new Error(`${name}: the app is at ${JSON.stringify(counts)}`);
        await later(10);
      }
    },
    signal: () => {
      const at = performance.now();
      child.kill('SIGTERM');
      return at;
    },
    end: async () => {
      const timer = setTimeout(() => child.kill('SIGKILL'), END_CEILING_MS);
      const { end, endedAt } = await ended;
      clearTimeout(timer);
      return { end: end === 'SIGKILL' ? 'did not end' : end, endedAt };
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
