/** Services for tests of rolling restarts: their file, the release they run, the processes that serve. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, isAlive } from './gsup.ts';
import type { Home, JournalLine } from './home.ts';

type Service = Readonly<Record<string, unknown>>;

/** The path of an app for rolling restarts. */
export function rollingApp(name: string): string {
  return fixture(join('rolling', name));
}

/** A web service on an inherited socket; `more` wins. */
export function web(port: number, more: Service = {}): Service {
  const { env, ...rest } = more;
  return {
    script: rollingApp('http.mjs'),
    env: { PORT: String(port), ...(env as Service | undefined) },
    sockets: { http: `127.0.0.1:${port}` },
    ready: { log: '^listening' },
    rolling: { minReady: '50ms' },
    ...rest,
  };
}

/** Writes the file of these services; JSON is YAML too. */
export function writeServices(home: Home, services: Readonly<Record<string, Service>>): string {
  return home.write('supervisor.yaml', JSON.stringify({ services }, null, 2));
}

/** Makes this app what the script of the test is from now on; its path. */
export function release(home: Home, app: string): string {
  return home.write('app.mjs', `import ${JSON.stringify(rollingApp(app))};\n`);
}

/** The pids that serve, by index; those beside do not count. */
export async function serving(home: Home, service = 'api'): Promise<readonly number[]> {
  return (await rows(home))
    .filter((row) => row['service'] === service && row['state'] === 'running')
    .map(({ pid }) => Number(pid));
}

/** What `ls` shows of each instance that has a place, without what changes from moment to moment. */
export async function rows(home: Home): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const all: readonly Readonly<Record<string, unknown>>[] = (await home.ls()).map((row) => ({ ...row }));
  return all
    .filter(({ spare }) => spare === undefined || spare === null)
    .map(({ uptimeMs: _, cpuPercent: __, memoryBytes: ___, stops: ____, ...row }) => row);
}

/** Everything of this home that lives, but its daemon and commands. */
export function instancesAlive(home: Home): readonly number[] {
  const daemons = home.daemonPids();
  return home
    .alive()
    .filter((pid) => !daemons.includes(pid) && !commandOf(pid).includes('bin/gsup.js'))
    .sort((a, b) => a - b);
}

/** Resolves when nothing but these processes is left of the instances. */
export async function onlyAlive(home: Home, pids: readonly number[]): Promise<void> {
  const wanted = [...pids].sort((a, b) => a - b).join();
  await home.until(`only ${wanted} to be alive`, () => (instancesAlive(home).join() === wanted ? true : undefined));
}

/** kill -9 of each that lives. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
}

/** The records of rolling restarts: `rolling-started api`. */
export function rollingRecords(records: readonly Pick<JournalLine, 'phase' | 'service'>[]): readonly string[] {
  return records
    .filter(({ phase }) => phase.startsWith('rolling-') && phase !== 'rolling-step')
    .map(({ phase, service }) => `${phase} ${service}`);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
