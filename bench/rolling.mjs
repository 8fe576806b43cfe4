// What a rolling restart costs beside PM2 7's cluster reload, on the same app in one run: A B A B, medians, ratios.
// Usage: npm run build && node bench/rolling.mjs [--quick] [--json FILE] [--rounds N] [--only reload,crash,throughput]
// Failed requests and seconds over many reloads under 12 clients, refused ones when every instance is killed, requests
// per second (and what the server side uses for them) through two instances. PM2 is installed by npm into a temporary prefix. Ends by itself.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
const reloads = values.quick ? 4 : 15;
const throughputSeconds = values.quick ? 3 : 8;
const INSTANCES = 2;
const CLIENTS = 12;
/** No step may take longer: whatever hangs ends the bench. */
const STEP_CEILING_MS = 120_000;
/** What has no answer in this time has failed. */
const REQUEST_CEILING_MS = 5_000;

const folder = mkdtempSync(join(tmpdir(), 'gsup-bench-'));
const prefix = join(folder, 'npm');
const rows = [];
const raw = {};

/** Ends well on both supervisors' signals, and says by IPC when it is ready, as PM2's documentation has it. */
const APP = `
import { createServer } from 'node:http';
let isEnding = false;
const server = createServer((request, response) => {
  if (isEnding) response.setHeader('Connection', 'close');
  response.end(process.pid + '\\n');
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => {
  isEnding = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
`;
/** Raw requests over six connections, kept or a new one for each, without parsing: cheaper than what answers them. */
const HAMMER = `
import { connect } from 'node:net';
const [port, isKept, ms] = [Number(process.argv[2]), process.argv[3] === 'kept', Number(process.argv[4])];
const request = 'GET / HTTP/1.1\\r\\nHost: x\\r\\n' + (isKept ? '' : 'Connection: close\\r\\n') + '\\r\\n';
let [answers, failures, isOver] = [0, 0, false];
function dial() {
  let isAnswered = false;
  const socket = connect(port, '127.0.0.1', () => socket.write(request));
  socket.setNoDelay(true);
  socket.on('data', (bytes) => {
    if (bytes.latin1Slice(0, 12) !== 'HTTP/1.1 200') return;
    answers++;
    isAnswered = true;
    if (isKept && !isOver) socket.write(request);
    else if (isKept) socket.end();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (!isAnswered) failures++;
    if (!isOver) dial();
  });
}
for (let n = 0; n < 6; n++) dial();
setTimeout(() => (isOver = true), ms);
process.on('exit', () => console.log(JSON.stringify({ answers, failures })));
`;
/** The load of the tests in a process of its own, from a line on stdin to the next. */
const CLIENT = `
import { createInterface } from 'node:readline';
import { startLoad } from './load.mjs';
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const load = startLoad(JSON.parse((await lines.next()).value));
await load.until('the first answers', ({ ok }) => ok > 100);
console.log('{}');
await lines.next();
console.log(JSON.stringify(await load.stop()));
`;

const app = written('app.mjs', APP);
const client = written('client.mjs', CLIENT);
const hammer = written('hammer.mjs', HAMMER);
await build({
  entryPoints: [resolve('test/kit/load.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  outfile: join(folder, 'load.mjs'),
  logLevel: 'error',
});
installTools();
const adapters = [gsupAdapter(), pm2Adapter()];
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const machine = `Node ${process.versions.node}, ${cpus().length} cores, Linux ${release()}, ${adapters.map(({ name, version }) => `${name} ${version}`).join(', ')}; ${rounds} rounds, medians (min–max)`;
console.error(machine);

const probes = { reload: reloadsUnderLoad, crash: killsUnderLoad, throughput: carriesRequests };
for (const [name, probe] of Object.entries(probes)) {
  if (values.only !== undefined && !values.only.split(',').includes(name)) continue;
  const begun = performance.now();
  await probe();
  console.error(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}
printTable();
if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, at: new Date().toISOString(), isQuick: values.quick, rounds, reloads, rows, raw }, null, 2)}\n`,
  );
process.exit(0);

// ---- probes ----

/** Each round of each supervisor: fresh, two instances, many reloads while the clients ask without a pause. */
async function reloadsUnderLoad() {
  const found = emptyFor(['failed', 'retried', 'ok', 'seconds', 'slowestMs', 'reasons']);
  for (let round = 0; round < rounds; round++) {
    for (const adapter of adapters) {
      const own = found[adapter.name];
      const port = await adapter.up();
      const load = await loadOn(port);
      for (let reload = 0; reload < reloads; reload++) {
        const before = adapter.pids();
        const begun = performance.now();
        await adapter.reload();
        own.seconds.push((performance.now() - begun) / 1000);
        checkReplaced(adapter, before);
      }
      const report = await load.end();
      for (const key of ['failed', 'retried', 'ok', 'slowestMs', 'reasons']) own[key].push(report[key]);
      await adapter.down();
    }
  }
  totalRow(`failed requests over ${rounds * reloads} reloads, ${CLIENTS} clients`, found, 'failed');
  totalRow('requests answered meanwhile', found, 'ok');
  totalRow('kept connections closed under a request, asked again', found, 'retried');
  row(`one reload of ${INSTANCES} instances under load, s`, found, 'seconds', 2);
  row('slowest request, ms', found, 'slowestMs', 0);
  raw.reload = found;
}

/** kill -9 of every instance at once, under load; what was in flight on them is lost anywhere. */
async function killsUnderLoad() {
  const found = emptyFor(['refused', 'lost', 'ok']);
  for (let round = 0; round < rounds; round++) {
    for (const adapter of adapters) {
      const port = await adapter.up();
      const load = await loadOn(port);
      const before = adapter.pids();
      for (const pid of before) process.kill(pid, 'SIGKILL');
      await until(() => isReplaced(adapter, before), `${adapter.name}: both instances are started again`);
      const report = await load.end();
      const refused = sum(Object.entries(report.reasons).map(([why, n]) => (why.startsWith('ECONNREFUSED') ? n : 0)));
      const own = found[adapter.name];
      own.refused.push(refused);
      own.lost.push(report.failed - refused);
      own.ok.push(report.ok);
      await adapter.down();
    }
  }
  totalRow(`kill -9 of both instances, ${rounds} times: refused requests`, found, 'refused');
  totalRow('other failed requests (in flight on the killed)', found, 'lost');
  raw.crash = found;
}

async function carriesRequests() {
  const found = emptyFor(['kept', 'fresh', 'keptCpu', 'freshCpu', 'keptBusier', 'freshBusier']);
  const bare = { kept: [], fresh: [], keptCpu: [], freshCpu: [] };
  for (let round = 0; round < rounds; round++) {
    await withBareNode((port, pid) => measureThroughput(port, [pid], bare));
    for (const adapter of adapters) {
      const own = found[adapter.name];
      const port = await adapter.up();
      await measureThroughput(port, [...adapter.pids(), adapter.daemonPid()], own);
      await adapter.down();
    }
  }
  for (const [key, title] of [
    ['kept', 'kept connections'],
    ['fresh', 'a connection each'],
  ]) {
    row(`requests a second, ${INSTANCES} instances, ${title}`, found, key, 0);
    ratioRow('the same, × one bare Node', found, key, bare[key]);
    row('processor time of supervisor and instances for a request, µs', found, `${key}Cpu`, 1);
    ratioRow('the same, × one bare Node', found, `${key}Cpu`, bare[`${key}Cpu`]);
    row('share of the busier instance in the time of both, %', found, `${key}Busier`, 0);
  }
  raw.throughput = { ...found, bare };
}

/** `pids`: the instances, then their supervisor. */
async function measureThroughput(port, pids, into) {
  for (const mode of ['kept', 'fresh']) {
    // What is compiled once is not measured.
    await hammerOn(port, mode, 0.5);
    const before = pids.map(cpuUs);
    const answers = await hammerOn(port, mode, throughputSeconds);
    const used = pids.map((pid, n) => cpuUs(pid) - before[n]);
    const ofInstances = used.slice(0, INSTANCES);
    into[mode].push(answers / throughputSeconds);
    into[`${mode}Cpu`].push(sum(used) / answers);
    into[`${mode}Busier`]?.push((Math.max(...ofInstances) / sum(ofInstances)) * 100);
  }
}

/** Two processes, so that they are not what is measured. */
async function hammerOn(port, mode, seconds) {
  const one = () => command([process.execPath, hammer, String(port), mode, String(seconds * 1000)], process.env);
  const reports = (await Promise.all([one(), one()])).map((text) => JSON.parse(text));
  const failures = sum(reports.map((report) => report.failures));
  if (failures > 0) throw new Error(`${failures} requests had no answer`);
  return sum(reports.map(({ answers }) => answers));
}

/** Of all its threads: the first word of schedstat is nanoseconds on a processor. */
function cpuUs(pid) {
  return sum(
    readdirSync(`/proc/${pid}/task`).map(
      (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]) / 1000,
    ),
  );
}

async function withBareNode(use) {
  const port = await freePort();
  const environment = { ...process.env, PORT: String(port) };
  const child = spawn(process.execPath, [app], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: environment });
  await within(new Promise((ready) => child.once('message', ready)), 'a bare Node listens');
  await use(port, child.pid);
  const ended = new Promise((end) => child.once('exit', end));
  child.kill();
  await within(ended, 'a bare Node ends');
}

// ---- the supervisors ----

function gsupAdapter() {
  const home = join(folder, 'gsup');
  const bin = resolve('bin/gsup.js');
  const environment = { ...process.env, GSUP_HOME: home };
  const run = (...args) => command([process.execPath, bin, ...args], environment);
  return {
    name: 'gsup',
    version: JSON.parse(readFileSync('package.json', 'utf8')).version,
    up: async () => {
      const port = await freePort();
      const service = {
        script: app,
        instances: INSTANCES,
        env: { PORT: String(port) },
        sockets: { http: `127.0.0.1:${port}` },
        ready: { message: true },
        // PM2 has no such gate.
        rolling: { minReady: '0s' },
        restart: { minDelay: '0s' },
      };
      await run('start', written('gsup.yaml', JSON.stringify({ services: { app: service } })));
      return port;
    },
    pids: () =>
      JSON.parse(
        execFileSync(process.execPath, [bin, 'ls', '--json'], {
          env: environment,
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      )
        .filter(({ state, spare }) => state === 'running' && !spare)
        .map(({ pid }) => pid),
    reload: () => run('reload', 'app'),
    down: async () => {
      await run('kill');
      rmSync(home, { recursive: true, force: true });
    },
    daemonPid: () =>
      JSON.parse(
        execFileSync(process.execPath, [bin, 'ping', '--json'], {
          env: environment,
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      ).pid,
  };
}

function pm2Adapter() {
  const script = join(prefix, 'node_modules/pm2/bin/pm2');
  const home = join(folder, 'pm2');
  const environment = { ...process.env, PM2_HOME: home, PM2_DISCRETE_MODE: 'true' };
  const run = (...args) => command([process.execPath, script, ...args], environment);
  return {
    name: 'PM2',
    version: JSON.parse(readFileSync(join(prefix, 'node_modules/pm2/package.json'), 'utf8')).version,
    up: async () => {
      const port = await freePort();
      const service = {
        name: 'app',
        script: app,
        instances: INSTANCES,
        exec_mode: 'cluster',
        env: { PORT: String(port) },
        wait_ready: true,
        listen_timeout: 10_000,
        kill_timeout: 10_000,
      };
      await run('start', written('pm2.json', JSON.stringify({ apps: [service] })));
      return port;
    },
    pids: () => {
      const text = execFileSync(process.execPath, [script, 'jlist'], {
        env: environment,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return JSON.parse(text)
        .filter(({ pm2_env: { status } }) => status === 'online')
        .map(({ pid }) => pid);
    },
    reload: () => run('reload', 'app'),
    down: async () => {
      await run('kill');
      rmSync(home, { recursive: true, force: true });
    },
    daemonPid: () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8')),
  };
}

function installTools() {
  mkdirSync(prefix);
  const args = ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel', 'error', 'pm2@7'];
  const { status } = spawnSync('npm', args, { stdio: 'ignore', timeout: 180_000 });
  if (status !== 0) throw new Error('PM2 can not be installed by npm');
}

function checkReplaced(adapter, before) {
  if (!isReplaced(adapter, before))
    throw new Error(`${adapter.name}: a reload went from pids ${before} to ${adapter.pids()}`);
}

function isReplaced(adapter, before) {
  const after = adapter.pids();
  return after.length === INSTANCES && before.length === INSTANCES && !after.some((pid) => before.includes(pid));
}

// ---- load ----

async function loadOn(port) {
  const child = spawn(process.execPath, [client], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((end) => child.once('exit', end));
  child.stdin.write(
    `${JSON.stringify({ port, clients: CLIENTS, maxMs: STEP_CEILING_MS, requestMs: REQUEST_CEILING_MS })}\n`,
  );
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

// ---- measuring ----

/** Resolves with its stdout when it has ended well. */
function command([file, ...args], environment) {
  return new Promise((done, failed) => {
    const child = spawn(file, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), STEP_CEILING_MS);
    child.once('exit', (code) => {
      clearTimeout(timer);
      // A daemon that it has started may keep them open.
      setImmediate(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        if (code === 0) done(stdout);
        else
          failed(
            new Error(`${file} ${args.join(' ')} exited with ${code}: ${stdout.slice(-500)}${stderr.slice(-500)}`),
          );
      });
    });
  });
}

/** Below the range from which the kernel takes ports for the connections of the clients. */
async function freePort() {
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

async function until(isTrue, what) {
  for (const latest = performance.now() + STEP_CEILING_MS; performance.now() < latest; await later(50)) {
    if (isTrue()) return;
  }
  throw new Error(`not within ${STEP_CEILING_MS / 1000} s: ${what}`);
}

function within(promise, what) {
  return Promise.race([
    promise,
    later(STEP_CEILING_MS).then(() => Promise.reject(new Error(`not within ${STEP_CEILING_MS / 1000} s: ${what}`))),
  ]);
}

function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function written(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function cleanUp() {
  // Whatever broke off: no daemon of ours is left behind, nor what it runs. Asked of /proc: a list would start a daemon.
  for (const { daemonPid } of adapters) {
    try {
      const pid = daemonPid();
      for (const one of [pid, ...children(pid)]) process.kill(one, 'SIGKILL');
    } catch {
      // There is none, or it is gone.
    }
  }
  rmSync(folder, { recursive: true, force: true });
}

function children(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
}

// ---- figures ----

function emptyFor(keys) {
  return Object.fromEntries(adapters.map(({ name }) => [name, Object.fromEntries(keys.map((key) => [key, []]))]));
}

function row(title, found, key, digits) {
  const [own, peer] = adapters.map(({ name }) => found[name][key]);
  rows.push([title, shown(own, digits), shown(peer, digits), (median(own) / median(peer)).toFixed(2)]);
}

function ratioRow(title, found, key, bases) {
  rows.push([title, ...adapters.map(({ name }) => (median(found[name][key]) / median(bases)).toFixed(2)), '']);
}

function totalRow(title, found, key) {
  rows.push([title, ...adapters.map(({ name }) => String(sum(found[name][key]))), '']);
}

function shown(numbers, digits) {
  const text = (number) => number.toFixed(digits);
  return `${text(median(numbers))} (${text(Math.min(...numbers))}–${text(Math.max(...numbers))})`;
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function printTable() {
  console.log(`${machine}\n`);
  console.log(`| | ${adapters.map(({ name }) => name).join(' | ')} | gsup : PM2 |`);
  console.log(`|---|${adapters.map(() => '---|').join('')}---|`);
  for (const cells of rows) console.log(`| ${cells.join(' | ')} |`);
}
