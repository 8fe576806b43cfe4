/** Another user tries everything that can be reached of root's daemon at once, while the daemon is killed again and again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import { fixture, freePort } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { NOBODY, testAsRoot } from '../kit/root.ts';

const KILLS = 10;
const ANSWER_MS = 2_000;
/** A line that is lost or repeated shows. */
const COUNTER = 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.01; done';

/** What the other user was able to do, once it is asked to end. */
class Foreigner implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #output: Promise<string>;

  constructor(home: string, link: string, pids: readonly number[], port: number) {
    const script = readFileSync(fixture('hostile/foreigner.cjs'), 'utf8');
    this.#child = spawn(process.execPath, ['-e', script, home, link, pids.join(), String(port)], {
      ...{ uid: NOBODY, gid: NOBODY, cwd: '/' },
      env: {},
    });
    this.#output = new Promise((resolve) => {
      let text = '';
      this.#child.stdout?.on('data', (chunk) => {
        text += chunk;
      });
      this.#child.on('close', () => resolve(text));
    });
  }

  async attacking(): Promise<void> {
    if (this.#child.stderr !== null) await once(this.#child.stderr, 'data');
  }

  async result(): Promise<{ readonly done: readonly string[]; readonly reached: readonly string[] }> {
    this.#child.stdin?.end();
    return JSON.parse(await this.#output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#output;
  }
}

testAsRoot("another user can neither touch root's daemon and services, nor keep them from their work", async () => {
  await using home = new Home();
  // The foreigner may pass the folder of the home; the home itself must be closed to it.
  chmodSync(home.folder, 0o755);
  const port = await freePort();
  const text = `http: { listen: ${port} }
services:
  counter: { command: [sh, -c, ${JSON.stringify(COUNTER)}] }
  victim: { command: [sleep, "1000"], env: { SECRET: hunter2 }, restart: { minDelay: 0s } }
`;
  await home.ok(['apply', '-c', home.write('supervisor.yaml', text)]);
  const before = await home.pids();
  const link =
    readFileSync(`/proc/${before['victim:0']}/environ`, 'utf8')
      .split('\0')
      .find((entry) => entry.startsWith('GSUP_LINK='))
      ?.slice(10) ?? '';
  const counter = before['counter:0'] ?? 0;
  const pids = [await home.daemonPid(), counter, before['victim:0'] ?? 0];
  await using foreigner = new Foreigner(home.path, dirname(link), pids, port);
  await foreigner.attacking();
  for (let kill = 0; kill < KILLS; kill++) {
    await home.killDaemon();
    await home.ok(['ls']);
    const began = performance.now();
    const rows = await home.ls();
    expect(performance.now() - began).toBeLessThan(ANSWER_MS);
    expect(rows.map(({ instance, state }) => `${instance} ${state}`)).toEqual([
      'counter:0 running',
      'victim:0 running',
    ]);
    expect(rows[0]?.pid).toBe(counter);
    const victim = rows[1]?.pid ?? 0;
    process.kill(victim, 'SIGKILL');
    await home.until('the restart of the killed service', () =>
      home.records.findLast(({ phase, instance }) => phase === 'spawned' && instance === 'victim:0')?.pid !== victim
        ? true
        : undefined,
    );
  }
  const { done, reached } = await foreigner.result();
  // The home itself is only seen to be there; a socket for every user is only connected to.
  expect(done).toEqual([]);
  expect(
    reached.filter((door) => !/\/link\.sock$|^the page$|\/[nr]-\w+$/.test(door) && !door.startsWith('\0')),
  ).toEqual([]);
  await home.ok(['stop', 'counter']);
  const numbers = home.lines('counter:0').map((line) => Number(line.split(' ')[1]));
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  expect(numbers.length).toBeGreaterThan(KILLS);
});
