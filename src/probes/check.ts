/** One check of each kind, once: whether an instance answers. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { execa } from 'execa';
import type { Check } from '../core/service.ts';

/** The checks that ask; `log` and `message` are told. */
export type ActiveCheck = Extract<Check, { kind: 'http' | 'tcp' | 'exec' }>;
/** A program that a check or a hook runs gets the environment and folder of its service. */
export type Surroundings = { readonly cwd: string; readonly environment: Readonly<Record<string, string | undefined>> };

/** Resolves with `null` when it is well, else with the reason. Ends within `timeoutMs`, or when `signal` is aborted. */
export async function checkOnce(
  check: ActiveCheck,
  { cwd, environment }: Surroundings,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  switch (check.kind) {
    case 'http':
      return checkHttp(check.url, limited);
    case 'tcp':
      return checkTcp(check.host, check.port, limited);
    case 'exec':
      return runProgram(check.argv, { cwd, environment }, limited);
  }
}

/** Runs a program to its end: `null` for exit 0, else the reason. Aborted, it and its group are killed. */
export async function runProgram(
  argv: readonly [string, ...string[]],
  { cwd, environment }: Surroundings,
  signal: AbortSignal,
): Promise<string | null> {
  if (signal.aborted) return 'not in time';
  const [file, ...args] = argv;
  const subprocess = execa(file, args, {
    cwd,
    env: environment as Record<string, string>,
    extendEnv: false,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
    detached: true,
    reject: false,
    cleanup: false,
    buffer: false,
  });
  const end = () => {
    if (subprocess.pid === undefined) return;
    try {
      process.kill(-subprocess.pid, 'SIGKILL');
    } catch {
      // It ended in the same moment.
    }
  };
  signal.addEventListener('abort', end, { once: true });
  const result = await subprocess;
  signal.removeEventListener('abort', end);
  if (signal.aborted) return 'not in time';
  if (result.exitCode === 0) return null;
  if (result.exitCode !== undefined) return `exit ${result.exitCode}`;
  return result.signal
    ? `killed by ${result.signal}`
    : `cannot execute ${file}: ${'code' in result ? result.code : 'unknown'}`;
}

function checkHttp(url: string, signal: AbortSignal): Promise<string | null> {
  if (url.startsWith('https:')) return checkHttps(url, signal);
  return new Promise((resolve) => {
    const request = httpRequest(url, { signal, agent: false, headers: { 'user-agent': 'gsup' } }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400 ? null : `HTTP ${status}`);
    });
    request.on('error', (error) => resolve(reasonOf(error)));
    request.end();
  });
}

function checkHttps(url: string, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    // Like a kubelet: whether it answers is asked, not who it is.
    const request = httpsRequest(url, { signal, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400 ? null : `HTTP ${status}`);
    });
    request.on('error', (error) => resolve(reasonOf(error)));
    request.end();
  });
}

function checkTcp(host: string, port: number, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve(null);
    });
    socket.once('error', (error) => resolve(reasonOf(error)));
  });
}

function reasonOf(error: NodeJS.ErrnoException): string {
  return error.name === 'AbortError' ? 'no answer in time' : (error.code ?? error.message);
}
