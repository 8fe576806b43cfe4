// Commands that are run to their end, and how long they take.
import { spawn, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { STEP_CEILING_MS } from './waits.mjs';

/** Resolves with its stdout when it has exited; a daemon that it leaves may keep the pipes open. */
export function command([file, ...args], { environment = process.env, cwd, statuses = [0] } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(file, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], cwd });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), STEP_CEILING_MS);
    child.once('error', failed);
    child.once('exit', (code) => {
      clearTimeout(timer);
      setImmediate(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        if (statuses.includes(code)) return done(stdout);
        const said = `${stdout.slice(-500)}${stderr.slice(-500)}`;
        failed(new Error(`${[file, ...args].join(' ').slice(0, 300)} exited with ${code}: ${said}`));
      });
    });
  });
}

/** In milliseconds, with nothing else going on in this process. */
export function wallOf([file, ...args], { environment = process.env, statuses = [0] } = {}) {
  const begun = performance.now();
  const { status } = spawnSync(file, args, { env: environment, stdio: 'ignore', timeout: STEP_CEILING_MS });
  const took = performance.now() - begun;
  if (!statuses.includes(status)) throw new Error(`${file} ${args.join(' ').slice(0, 300)} exited with ${status}`);
  return took;
}

/** The stdout of a command, or null when it can not be run. */
export function outputOf([file, ...args], environment = process.env) {
  const { status, stdout } = spawnSync(file, args, {
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
    encoding: 'utf8',
    timeout: STEP_CEILING_MS,
    maxBuffer: 1 << 28,
  });
  return status === 0 ? stdout : null;
}

export function hasProgram(name) {
  return whereIs(name) !== null;
}

/** A file, also of what is built into the shell. */
export function whereIs(name) {
  const paths = (process.env.PATH ?? '').split(':').map((folder) => join(folder, name));
  return paths.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile()) ?? null;
}

export const NODE_NOTHING = [process.execPath, '-e', '0'];

/** Bare Node that waits: what memory is compared with. */
export function startIdleNode(scratch) {
  return spawn(process.execPath, ['-e', 'setInterval(()=>{},1e9)'], {
    stdio: 'ignore',
    env: scratch.environment('idle-node'),
  });
}
