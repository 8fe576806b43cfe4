// What gsup's daemon costs and how fast it acts, beside PM2 7 and supervisord in one run: A B A B, medians, ratios.
// Usage: npm run build && node bench/daemon.mjs [--quick] [--json FILE] [--only ls,rest,start,respawn,logs]
// PM2 is installed by npm into a temporary prefix; supervisord takes part when it is there. Ends by itself.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { cpus, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
const idleMs = values.quick ? 10_000 : 30_000;
const logBytes = (values.quick ? 100 : 500) * 1_000_000;
const LINE_BYTES = 100;
/** No step may take longer: whatever hangs ends the bench. */
const STEP_CEILING_MS = 120_000;
/** What a daemon gets to come to rest before its memory is looked at. */
const REST_MS = 2_000;

const folder = mkdtempSync(join(tmpdir(), 'gsup-bench-'));
const bin = resolve('bin/gsup.js');
const rows = [];
const raw = {};

/** Writes numbered lines of 100 bytes as fast as it can, and when it began. */
const WRITER = `
import { writeFileSync, writeSync } from 'node:fs';
const [lines, stamp] = [Number(process.argv[2]), process.argv[3]];
const block = Buffer.alloc(100 * 650, 'x');
for (let i = 0; i < 650; i++) { block.write('0000000000 ', i * 100); block[i * 100 + 99] = 10; }
const digits = (at, n) => { for (let i = at + 9; n > 0; i--) { block[i] = 48 + (n % 10); n = Math.floor(n / 10); } };
writeFileSync(stamp, String(Date.now()));
for (let n = 0; n < lines; ) {
  const count = Math.min(650, lines - n);
  for (let i = 0; i < count; i++) digits(i * 100, ++n);
  for (let sent = 0; sent < count * 100; ) {
    try { sent += writeSync(1, block, sent, count * 100 - sent); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
  }
}
setInterval(() => {}, 1e9);
`;

const adapters = [gsupAdapter(), pm2Adapter(), supervisordAdapter()].filter((adapter) => adapter !== null);
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const machine = `Node ${process.versions.node}, ${cpus().length} cores, Linux ${release()}, ${adapters.map(({ name, version }) => `${name} ${version}`).join(', ')}; ${rounds} rounds, medians (min–max)`;
console.error(machine);

const probes = { rest: startsRestsAndStops, ls: lists, idle: idles, respawn: respawns, logs: capturesLogs };
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
    `${JSON.stringify({ machine, at: new Date().toISOString(), isQuick: values.quick, rounds, rows, raw }, null, 2)}\n`,
  );
process.exit(0);

// ---- probes ----

/** One round of one supervisor: a fresh daemon, 100 services started, at rest, stopped. */
async function startsRestsAndStops() {
  const found = emptyFor(['pss0', 'pss100', 'allRunning', 'startReturned', 'allGone', 'stopReturned', 'node']);
  for (let round = 0; round < rounds; round++) {
    const node = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)'], { stdio: 'ignore' });
    for (const adapter of adapters) {
      const own = found[adapter.name];
      await adapter.up();
      await later(REST_MS);
      own.pss0.push(pss(adapter.pid()));
      own.node.push(pss(node.pid));
      const file = adapter.file(sleeps(100));
      const begun = performance.now();
      const starting = adapter.start(file);
      await until(() => allRun(adapter, 100), `${adapter.name}: 100 services run`);
      own.allRunning.push(performance.now() - begun);
      await starting;
      own.startReturned.push(performance.now() - begun);
      await later(REST_MS);
      own.pss100.push(pss(adapter.pid()));
      const pids = children(adapter.pid());
      if (pids.length !== 100) throw new Error(`${adapter.name}: ${pids.length} children instead of 100`);
      const asked = performance.now();
      const stopping = adapter.stop();
      await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), `${adapter.name}: 100 services are gone`);
      own.allGone.push(performance.now() - asked);
      await stopping;
      own.stopReturned.push(performance.now() - asked);
      await adapter.down();
    }
    node.kill();
  }
  ratioRow('daemon memory (Pss), 0 children, × idle Node', found, 'pss0', 'node', 1.35);
  ratioRow('daemon memory (Pss), 100 children, × idle Node', found, 'pss100', 'node', 1.5);
  row('start of 100: all run, s', found, 'allRunning', 0.35, 1000);
  row('start of 100: command returns, s', found, 'startReturned', null, 1000);
  row('stop of 100: all gone, s', found, 'allGone', 0.15, 1000);
  row('stop of 100: command returns, s', found, 'stopReturned', 0.3, 1000);
  raw.rest = found;
}

async function lists() {
  for (const count of [10, 100]) {
    const found = emptyFor(['wall', 'node']);
    for (const adapter of adapters) await upWith(adapter, sleeps(count), count);
    // The first one pays for what is loaded once.
    for (const adapter of adapters) await checkList(adapter, count);
    for (let round = 0; round < rounds * 3; round++) {
      for (const adapter of adapters) {
        found[adapter.name].node.push(await wallOf([process.execPath, '-e', '0']));
        found[adapter.name].wall.push(await wallOf(adapter.list, adapter.environment, adapter.listStatus));
      }
    }
    for (const adapter of adapters) await adapter.down();
    ratioRow(`ls with ${count} instances, wall, × node -e 0`, found, 'wall', 'node', 1.5);
    raw[`ls${count}`] = found;
  }
}

/** All at the same time: the same half minute for each. */
async function idles() {
  const found = emptyFor(['cpu', 'switches']);
  for (const adapter of adapters) await upWith(adapter, sleeps(100), 100);
  await later(REST_MS * 2);
  const before = new Map(adapters.map((adapter) => [adapter, activity(adapter.pid())]));
  await later(idleMs);
  for (const adapter of adapters) {
    const now = activity(adapter.pid());
    found[adapter.name].cpu.push((now.cpuMs - before.get(adapter).cpuMs) / 1000);
    found[adapter.name].switches.push(now.switches - before.get(adapter).switches);
    if (children(adapter.pid()).length !== 100) throw new Error(`${adapter.name}: not 100 children any more`);
  }
  for (const adapter of adapters) await adapter.down();
  row(`daemon CPU, 100 idle children, ${idleMs / 1000} s, s`, found, 'cpu', values.quick ? 0.007 : 0.02, 1, 3);
  row(`its voluntary context switches in ${idleMs / 1000} s`, found, 'switches', null, 1, 0);
  raw.idle = found;
}

/** kill -9 of a service to the first word of its replacement, a shell that writes into our FIFO: fork, exec and its begin. */
async function respawns() {
  const found = emptyFor(['ms']);
  const fifos = new Map();
  for (const adapter of adapters) {
    const path = join(folder, `${adapter.name}.fifo`);
    execFileSync('mkfifo', [path]);
    const words = listenTo(path);
    fifos.set(adapter, words);
    await adapter.up();
    const first = words.next();
    await adapter.start(
      adapter.file([{ name: 'w', argv: ['sh', '-c', `echo $$ > ${path}; exec sleep 100000`], isAtOnce: true }]),
    );
    fifos.set(adapter, { words, pid: (await first).word });
  }
  await later(REST_MS);
  for (let round = 0; round < rounds * 4; round++) {
    for (const adapter of adapters) {
      const state = fifos.get(adapter);
      const next = state.words.next();
      const killed = performance.now();
      process.kill(Number(state.pid), 'SIGKILL');
      const { word, at } = await next;
      found[adapter.name].ms.push(at - killed);
      state.pid = word;
      await later(150);
    }
  }
  for (const adapter of adapters) {
    fifos.get(adapter).words.close();
    await adapter.down();
  }
  row('respawn with no delay: kill -9 to the replacement, ms', found, 'ms', 4, 1);
  raw.respawn = found;
}

async function capturesLogs() {
  const writer = join(folder, 'writer.mjs');
  writeFileSync(writer, WRITER);
  const variants = adapters.flatMap((adapter) =>
    adapter.logVariants.map((variant) => ({
      adapter,
      variant,
      title: `${adapter.name}${variant === '' ? '' : ` ${variant}`}`,
    })),
  );
  const found = Object.fromEntries(variants.map(({ title }) => [title, { seconds: [], ratio: [], growth: [] }]));
  const cat = [];
  const times = Math.max(3, Math.ceil(rounds / (values.quick ? 1 : 2)));
  for (let round = 0; round < times; round++) {
    cat.push(await throughCat(writer));
    for (const { adapter, variant, title } of variants) {
      const { took, growthMb } = await throughDaemon(adapter, variant, writer);
      found[title].seconds.push(took);
      found[title].growth.push(growthMb);
    }
  }
  for (const one of Object.values(found)) one.ratio = one.seconds.map((took) => median(cat) / took);
  const mb = logBytes / 1e6;
  const figure = (title, key, digits) => (found[title] === undefined ? '–' : shown(found[title][key], 1, digits));
  const titles = Object.keys(found);
  for (const variant of ['CRI', 'raw']) {
    const cells = adapters.map(({ name }) =>
      titles.find((title) => title.startsWith(name) && (title.endsWith(variant) || title === name)),
    );
    rows.push([
      `log capture of ${mb} MB, ${variant} (peers raw), × child \\| cat > file`,
      ...cells.map((title) => figure(title, 'ratio', 2)),
      variant === 'CRI' ? '≥ 0.45' : '≥ 0.8',
    ]);
    rows.push([
      `its peak memory (RSS), MB more, ${variant}`,
      ...cells.map((title) => figure(title, 'growth', 0)),
      '≤ 25',
    ]);
  }
  raw.logs = { cat, found };
}

async function throughCat(writer) {
  const file = join(folder, 'cat.log');
  const stamp = join(folder, 'stamp');
  rmSync(stamp, { force: true });
  const child = spawn(
    'sh',
    ['-c', '"$0" "$1" "$2" "$3" | cat > "$4"', process.execPath, writer, String(logBytes / LINE_BYTES), stamp, file],
    { stdio: 'ignore', detached: true },
  );
  await until(() => sizeOf(file) >= logBytes, 'cat has written all', 5);
  const took = Date.now() - Number(readFileSync(stamp, 'utf8'));
  // The shell, the writer and cat.
  process.kill(-child.pid, 'SIGKILL');
  checkLines(file, 'raw');
  rmSync(file);
  return took / 1000;
}

/** From the writer's first byte until all is in the file, in order. */
async function throughDaemon(adapter, variant, writer) {
  const stamp = join(folder, 'stamp');
  rmSync(stamp, { force: true });
  await adapter.up();
  await later(1_000);
  writeFileSync(`/proc/${adapter.pid()}/clear_refs`, '5');
  const before = status(adapter.pid(), 'VmHWM');
  const lines = logBytes / LINE_BYTES;
  const service = {
    name: 'w',
    argv: [process.execPath, writer, String(lines), stamp],
    log: join(folder, `${adapter.name}.log`),
    variant,
  };
  const started = adapter.start(adapter.file([service]));
  const file = adapter.logFile(service);
  const total = logBytes + (variant === 'CRI' ? lines * '2026-11-21T04:41:00.123456000Z stdout F '.length : 0);
  await until(() => sizeOf(file) >= total, `${adapter.name} has written all`, 5);
  const took = Date.now() - Number(readFileSync(stamp, 'utf8'));
  const growthMb = (status(adapter.pid(), 'VmHWM') - before) / 1000;
  await started;
  checkLines(file, variant);
  await adapter.down();
  rmSync(file, { force: true });
  return { took: took / 1000, growthMb };
}

/** Every line is there, once, in order, whole. */
function checkLines(file, variant) {
  const head = variant === 'CRI' ? 40 : 0;
  const length = head + LINE_BYTES;
  const buffer = Buffer.alloc(length * 20_000);
  const fd = openSync(file, 'r');
  let n = 0;
  for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer)) {
    for (let at = 0; at + length <= size; at += length) {
      n++;
      const isNext = Number(buffer.latin1Slice(at + head, at + head + 10)) === n && buffer[at + length - 1] === 10;
      if (!isNext)
        throw new Error(`${file}: line ${n} is not in its place: ${buffer.toString('latin1', at, at + length)}`);
    }
  }
  closeSync(fd);
  if (n !== logBytes / LINE_BYTES) throw new Error(`${file}: ${n} lines instead of ${logBytes / LINE_BYTES}`);
}

// ---- the supervisors ----

function gsupAdapter() {
  const home = join(folder, 'gsup');
  const environment = { ...process.env, GSUP_HOME: home };
  const run = (...args) => command([process.execPath, bin, ...args], environment);
  const logs = { raw: { format: 'raw', maxSize: '100GB' }, CRI: { format: 'cri', maxSize: '100GB' } };
  return {
    name: 'gsup',
    version: JSON.parse(readFileSync('package.json', 'utf8')).version,
    environment,
    list: [process.execPath, bin, 'ls'],
    listStatus: [0],
    logVariants: ['CRI', 'raw'],
    logFile: ({ name }) => join(home, 'logs', `${name}:0.log`),
    up: () => run('ls'),
    pid: once(
      () =>
        JSON.parse(
          execFileSync(process.execPath, [bin, 'ping', '--json'], {
            env: environment,
            stdio: ['ignore', 'pipe', 'ignore'],
          }),
        ).pid,
    ),
    file: (services) => {
      const entries = services.map(({ name, argv, isAtOnce, variant }) => [
        name,
        {
          command: argv,
          ...(isAtOnce ? { restart: { minDelay: '0s', limit: 1_000_000 } } : {}),
          ...(variant ? { logs: logs[variant] } : {}),
        },
      ]);
      return written('gsup.yaml', JSON.stringify({ services: Object.fromEntries(entries) }));
    },
    start: (file) => run('start', file),
    stop: () => run('stop', 'all'),
    down: async () => {
      await run('kill');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function pm2Adapter() {
  const prefix = join(folder, 'npm');
  mkdirSync(prefix);
  const installed = spawnSync(
    'npm',
    ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel', 'error', 'pm2@7'],
    { stdio: 'ignore', timeout: 180_000 },
  );
  const script = join(prefix, 'node_modules/pm2/bin/pm2');
  if (installed.status !== 0 || !existsSync(script)) {
    console.error('PM2 can not be installed: the bench goes on without it');
    return null;
  }
  const home = join(folder, 'pm2');
  const environment = { ...process.env, PM2_HOME: home, PM2_DISCRETE_MODE: 'true' };
  const run = (...args) => command([process.execPath, script, ...args], environment);
  return {
    name: 'PM2',
    version: JSON.parse(readFileSync(join(prefix, 'node_modules/pm2/package.json'), 'utf8')).version,
    environment,
    list: [process.execPath, script, 'ls'],
    listStatus: [0],
    logVariants: [''],
    logFile: ({ log }) => log,
    up: () => run('ping'),
    pid: () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8')),
    file: (services) => {
      const apps = services.map(({ name, argv: [script, ...args], log, isAtOnce }) => ({
        name,
        script: script.includes('/')
          ? script
          : execFileSync('sh', ['-c', `command -v ${script}`])
              .toString()
              .trim(),
        args,
        interpreter: 'none',
        ...(log ? { out_file: log } : {}),
        ...(isAtOnce ? { min_uptime: 100, max_restarts: 1_000_000 } : {}),
      }));
      return written('pm2.json', JSON.stringify({ apps }));
    },
    start: (file) => run('start', file),
    stop: () => run('stop', 'all'),
    down: async () => {
      await run('kill');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function supervisordAdapter() {
  const version = spawnSync('supervisord', ['--version']).stdout?.toString().trim();
  if (!version) return null;
  const home = join(folder, 'supervisord');
  const main = join(home, 'supervisord.conf');
  const pidFile = join(home, 'supervisord.pid');
  const ctl = ['supervisorctl', '-c', main];
  return {
    name: 'supervisord',
    version,
    environment: process.env,
    list: [...ctl, 'status'],
    listStatus: [0, 3],
    logVariants: [''],
    logFile: ({ log }) => log,
    up: async () => {
      mkdirSync(join(home, 'logs'), { recursive: true });
      const socket = join(home, 's.sock');
      writeFileSync(
        main,
        `[unix_http_server]\nfile=${socket}\n[supervisord]\nlogfile=${home}/log\npidfile=${pidFile}\nchildlogdir=${home}/logs\nminfds=10000\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n[supervisorctl]\nserverurl=unix://${socket}\n[include]\nfiles=${home}/services.ini\n`,
      );
      writeFileSync(join(home, 'services.ini'), '');
      await command(['supervisord', '-c', main], process.env);
      await until(() => existsSync(socket) && Number(read(pidFile)) > 0, 'supervisord answers');
    },
    pid: () => Number(readFileSync(pidFile, 'utf8')),
    file: (services) => {
      const text = services.map(({ name, argv, log }) => {
        const words = argv.map((word) => (/^[\w./:-]+$/.test(word) ? word : `'${word}'`)).join(' ');
        const output = log ? `stdout_logfile=${log}\nstdout_logfile_maxbytes=0\n` : '';
        return `[program:${name}]\ncommand=${words}\nautorestart=true\nstartsecs=0\n${output}`;
      });
      writeFileSync(join(home, 'services.ini'), text.join('\n'));
      return main;
    },
    start: () => command([...ctl, 'update'], process.env),
    stop: () => command([...ctl, 'stop', 'all'], process.env),
    down: async () => {
      const pid = Number(readFileSync(pidFile, 'utf8'));
      await command([...ctl, 'shutdown'], process.env);
      await until(() => !existsSync(`/proc/${pid}`), 'supervisord has ended');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function sleeps(count) {
  return Array.from({ length: count }, (_, at) => ({ name: `w${at}`, argv: ['sleep', '100000'] }));
}

async function upWith(adapter, services, count) {
  await adapter.up();
  await adapter.start(adapter.file(services));
  await until(() => allRun(adapter, count), `${adapter.name}: ${count} services run`);
}

function allRun(adapter, count) {
  const pids = children(adapter.pid());
  return pids.length === count && pids.every((pid) => read(`/proc/${pid}/comm`).startsWith('sleep'));
}

async function checkList({ name, list, environment }, count) {
  const { stdout } = spawnSync(list[0], list.slice(1), { env: environment, timeout: STEP_CEILING_MS });
  const named = new Set(stdout.toString().match(/\bw\d+/g));
  if (named.size !== count) throw new Error(`${name}: ls names ${named.size} services instead of ${count}`);
}

// ---- measuring ----

/** Of all its threads: nanoseconds on a processor (the first word of schedstat), and how often it went to sleep. */
function activity(pid) {
  let [cpuMs, switches] = [0, 0];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    cpuMs += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]) / 1e6;
    switches += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${thread}/status`))?.[1] ?? 0);
  }
  return { cpuMs, switches };
}

function children(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

function pss(pid) {
  return status(pid, 'Pss', 'smaps_rollup');
}

function status(pid, key, file = 'status') {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(read(`/proc/${pid}/${file}`))[1]);
}

async function wallOf([file, ...args], environment = process.env, statuses = [0]) {
  const begun = performance.now();
  const { status: code } = spawnSync(file, args, { env: environment, stdio: 'ignore', timeout: STEP_CEILING_MS });
  const took = performance.now() - begun;
  if (!statuses.includes(code)) throw new Error(`${file} ${args.join(' ')} exited with ${code}`);
  return took;
}

/** Resolves when it has exited; its output goes nowhere. */
function command([file, ...args], environment) {
  return new Promise((done, failed) => {
    const child = spawn(file, args, { env: environment, stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
    let stderr = '';
    child.stderr.on('data', (text) => (stderr += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), STEP_CEILING_MS);
    child.once('exit', (code) => {
      clearTimeout(timer);
      child.stderr.destroy();
      if (code === 0) done();
      else failed(new Error(`${file} ${args.join(' ')} exited with ${code}: ${stderr.slice(-500)}`));
    });
  });
}

function listenTo(path) {
  const socket = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK) });
  let take = () => {};
  socket.on('data', (bytes) => take({ word: bytes.toString().trim(), at: performance.now() }));
  return {
    next: () => within(new Promise((resolve) => (take = resolve)), `a word comes through ${path}`),
    close: () => socket.destroy(),
  };
}

async function until(isTrue, what, everyMs = 3) {
  for (const latest = performance.now() + STEP_CEILING_MS; performance.now() < latest; await later(everyMs)) {
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

/** The pid of a daemon is asked for once; when that one is gone, another. */
function once(ask) {
  let known = null;
  return () => {
    // A zombie still stands in /proc, without memory.
    if (known === null || !/^VmRSS:/m.test(read(`/proc/${known}/status`))) known = ask();
    return known;
  };
}

function written(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function sizeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function cleanUp() {
  // Whatever broke off: no daemon of ours is left behind, nor what it runs.
  for (const adapter of adapters) {
    let pid = null;
    try {
      pid = adapter.pid();
    } catch {
      continue;
    }
    for (const child of [pid, ...children(pid)]) {
      try {
        process.kill(child, 'SIGKILL');
      } catch {
        // It is gone.
      }
    }
  }
  rmSync(folder, { recursive: true, force: true });
}

// ---- figures ----

function emptyFor(keys) {
  return Object.fromEntries(adapters.map(({ name }) => [name, Object.fromEntries(keys.map((key) => [key, []]))]));
}

function row(title, found, key, goal, scale, digits = 2) {
  rows.push([
    title,
    ...adapters.map(({ name }) => shown(found[name][key], scale, digits)),
    goal === null ? '' : `≤ ${goal}`,
  ]);
}

function ratioRow(title, found, key, base, goal) {
  const bases = median(Object.values(found).flatMap((one) => one[base]));
  rows.push([title, ...adapters.map(({ name }) => shown(found[name][key], bases, 2)), `≤ ${goal}`]);
}

function shown(numbers, scale, digits) {
  const text = (number) => (number / scale).toFixed(digits);
  return numbers.length === 1
    ? text(numbers[0])
    : `${text(median(numbers))} (${text(Math.min(...numbers))}–${text(Math.max(...numbers))})`;
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function printTable() {
  console.log(`${machine}\n`);
  console.log(`| | ${adapters.map(({ name }) => name).join(' | ')} | goal |`);
  console.log(`|---|${adapters.map(() => '---|').join('')}---|`);
  for (const cells of rows) console.log(`| ${cells.join(' | ')} |`);
}
