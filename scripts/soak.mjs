// Lets services and their daemon live at random for a while, and checks that nothing is lost, doubled or left behind.
// Usage: npm run soak [-- --seconds 60 --seed N]. Needs `npm run build` first; ends by itself, 120 s after its time at the latest.
//
// What is decided (which command, when which kill) comes from the seed alone; when it happens depends on the machine.
// Every line that a run writes is one write(2) of whole lines of at most PIPE_BUF bytes, so the kernel never tears one,
// and the run notes before and after each write how far it is. So of each run the log has to hold, in order and once:
// - every line whose write had returned, whoever ended the run, kill -9 of the leader and SIGKILL by gsup included;
// - except of a run that ended while no daemon lived: the kernel throws away what is in a pipe when its last end is closed,
//   so its last 64 KiB of each stream may be missing, and the line before the gap may be torn. Nothing else may.
import { spawn } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } } });
const seconds = Number(values.seconds);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const COMMAND_CEILING_MS = 60_000;
const FACT_CEILING_MS = 30_000;
const PIPE_BYTES = 64 * 1024;

const gsup = resolve('bin/gsup.js');
const folder = mkdtempSync(join(tmpdir(), 'gsup-soak-'));
const home = join(folder, 'home');
const truths = join(folder, 'truths');
const puppet = join(folder, 'puppet.mjs');
const listening = join(folder, 'soak.sock');
const environment = { ...process.env, GSUP_HOME: home, SOAK_SOCKET: listening, SOAK_TRUTHS: truths };

/** What went wrong, once each. */
const problems = new Set();
/** Token → what is known of a run: when it was first and last seen alive. */
const runs = new Map();
/** From just before a daemon was ended to the first answer of the next: [from, to] in epoch ms. */
const gaps = [];
/** Service → whether it should run, and in how many copies; what the commands so far amount to. */
const wanted = new Map();
const counts = { commands: 0, 'leaders killed': 0, 'daemons killed': 0, updates: 0, runs: 0, lines: 0 };
let daemonPid = null;
let isNative = true;
let isDaemonDisturbed = false;
let steps = 0;
let lastStep = 'the begin';
/** What the last file said: service → count and version. */
let applied = [];

const PUPPET = `
import { spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
const { GSUP_ID: id, GSUP_SERVICE: service, GSUP_INSTANCE: index, SOAK_SOCKET, SOAK_TRUTHS, KIND } = process.env;
const truth = openSync(SOAK_TRUTHS + '/' + id, 'w');
const begun = [0, 0], done = [0, 0];
const note = () => writeSync(truth, JSON.stringify({ service, index, begun, done, at: Date.now() }).padEnd(160), 0);
const name = [id, id + '.e'];
const line = (stream, n) => name[stream] + ' ' + n + ' ' + 'abcdefghij'.repeat(13).slice(0, (n * 37) % 120) + '.\\n';
/** One write of at most PIPE_BUF. */
function write(stream, count) {
  let text = '';
  for (let i = 0; i < count; i++) text += line(stream, ++begun[stream]);
  note();
  writeSync(stream + 1, text);
  done[stream] = begun[stream];
  note();
}
if (process.env.BAD === '1') process.exit(2);
note();
const socket = connect(SOAK_SOCKET).on('error', () => {});
socket.resume().unref();
socket.write(JSON.stringify({ id, service, index, pid: process.pid }) + '\\n');
const child = (mark, isAway, trap) => spawn('sh', ['-c', trap + 'i=0; while :; do i=$((i+1)); echo "$GSUP_ID.' + mark + ' $i -"; sleep 0.0$((i % 9 + 1)); done'],
  { stdio: ['ignore', 'inherit', 'ignore'], detached: isAway });
if (KIND === 'forking') for (const mark of ['c0', 'c1']) child(mark, false, mark === 'c1' ? 'trap "" TERM; ' : '');
if (KIND === 'daemonising') child('d0', true, '');
const server = process.env.PORT === undefined ? null : createServer((peer) => peer.on('error', () => {}).end(id));
const PYTHON = 'import os,socket; socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto(b"READY=1",os.environ["NOTIFY_SOCKET"])';
const ready = { serving: () => process.send('ready'), notifying: () => spawn('python3', ['-c', PYTHON]), piping: () => writeSync(7, '\\n') }[KIND] ?? (() => {});
if (server === null) ready();
else setTimeout(() => server.listen(Number(process.env.PORT), '127.0.0.1', ready), process.pid % 200);
let turn = 0;
const every = setInterval(() => {
  turn++;
  if (KIND === 'flooding') for (let i = 0; i < 12; i++) write(0, 20);
  else write(turn % 5 === 0 ? 1 : 0, 1 + (turn % 3));
  if (KIND === 'crashing' && turn > 10 + process.pid % 50) process.exit(process.pid % 2);
  if (KIND === 'ending' && turn > 20) process.exit(0);
}, KIND === 'flooding' ? 25 : 12);
process.on('SIGHUP', () => write(1, 1));
process.on('SIGTERM', () => {
  if (KIND === 'stubborn') return write(1, 1);
  clearInterval(every);
  server?.close();
  write(0, 5);
  write(1, 2);
  process.exit(0);
});
`;

const SERVICES = {
  steady: { instances: 2, logs: { maxSize: '32KB', maxFiles: 1000 } },
  flooding: { logs: { format: 'raw', maxSize: '500KB', maxFiles: 1000, compress: true } },
  stubborn: { logs: { format: 'json', maxSize: '64KB', maxFiles: 1000 }, stop: { grace: '300ms' } },
  forking: { logs: { maxSize: '100KB', maxFiles: 1000 }, stop: { grace: '1s' } },
  daemonising: { logs: { maxSize: '100KB', maxFiles: 1000 }, stop: { grace: '2s' } },
  crashing: { instances: 2, logs: { maxSize: '32KB', maxFiles: 1000, compress: true } },
  ending: { logs: { format: 'raw', maxSize: '32KB', maxFiles: 1000 }, restart: { policy: 'on-failure' } },
  serving: {
    instances: 3,
    logs: { maxSize: '32KB', maxFiles: 1000 },
    ready: { message: true, timeout: '10s' },
    rolling: { maxSurge: 2, maxUnavailable: 1, minReady: '100ms' },
  },
  notifying: {
    instances: 2,
    logs: { format: 'json', maxSize: '32KB', maxFiles: 1000 },
    ready: { notify: true, timeout: '10s' },
    rolling: { minReady: '0s' },
  },
  piping: {
    instances: 2,
    logs: { maxSize: '32KB', maxFiles: 1000 },
    ready: { fd: 7, timeout: '10s' },
    rolling: { maxSurge: 0, minReady: '50ms' },
  },
};
/** Those that listen, each on the socket that gsup holds for it. */
const PORTS = { serving: 1, notifying: 2, piping: 3 };
// Below the ports that the kernel gives to outgoing connections (32768 and up), one of which may stand in TIME_WAIT.
const firstPort = 20_000 + (process.pid % 4_000) * 3;
/** Their runs may stand side by side while they are replaced. */
const isBeside = (service) => service !== 'piping';
/** Ends for good when it has ended well. */
const ENDS = 'ending';
/** Is started again and again: it has to be seen running, but not with all others at the same moment. */
const CRASHES = 'crashing';

mkdirSync(truths);
writeFileSync(puppet, PUPPET);
console.log(`soak: ${seconds} s, seed ${seed}, Node ${process.versions.node}, in ${folder}`);
const watchdog = setTimeout(() => void fail(`it hung: ${lastStep}`), (seconds + 120) * 1000);
const server = createServer(meet).listen(listening);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void fail(`ended by ${signal}`));
process.on('uncaughtException', (error) => void fail(error.stack));
await main();

async function main() {
  const random = randomOf(seed);
  const fresh = await freshDaemon();
  const until = Date.now() + seconds * 1000;
  await applyFile(random, true);
  // The last daemon is left alone for a third of the time: only a daemon that lives can grow.
  while (Date.now() < until - seconds * 333 && problems.size === 0) await step(random, true);
  await settle();
  const before = footprint();
  while (Date.now() < until && problems.size === 0) await step(random, false);
  await settle();
  checkDaemon(fresh, before, footprint());
  await end(fresh);
  checkLogs();
  server.close();
  if (problems.size > 0) return fail();
  const what = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  console.log(`soak: nothing lost, doubled, missing or left behind (${what.join(', ')})`);
  rmSync(folder, { recursive: true });
  clearTimeout(watchdog);
  process.exit(0);
}

async function fail(problem) {
  if (problem !== undefined) problems.add(problem);
  for (const { pid } of ours()) attempt(() => process.kill(pid, 'SIGKILL'));
  for (const one of [...problems].slice(0, 40)) console.error(`soak: ${one}`);
  console.error(`soak: FAILED with --seed ${seed} --seconds ${seconds}; its home is kept: ${home}`);
  process.exit(1);
}

// ---- what is done ----

/** One to four commands at once, each for another service, with what may befall them. */
async function step(random, isDaemonMortal) {
  const chaos = random();
  // However short it is, some daemons die.
  const isDoomed = isDaemonMortal && (chaos < 0.4 || steps++ % 3 === 0);
  const isUpdated = isDaemonMortal && chaos > 0.9;
  const killAfterMs = Math.floor(random() ** 2 * 1500);
  const commands =
    random() < 0.15
      ? null
      : pick(random, [...Object.keys(SERVICES)], 1 + Math.floor(random() * 4)).map((name) => commandFor(random, name));
  const victims = random() < 0.5 ? 1 + Math.floor(random() * 3) : 0;
  const order = random();
  isDaemonDisturbed = isDoomed || isUpdated;
  const work = commands === null ? applyFile(random, random() < 0.3) : Promise.all(commands.map(perform));
  const happening = [
    work,
    ...(isDoomed ? [later(killAfterMs).then(killDaemon)] : []),
    ...(isUpdated ? [later(killAfterMs).then(update)] : []),
    ...(victims > 0 ? [later(killAfterMs * order).then(() => killLeaders(random, victims))] : []),
  ];
  await Promise.all(happening);
  if (isDaemonDisturbed) {
    // Whoever was being served when the daemon went can't know how far it came: asked again, it has to come true.
    isDaemonDisturbed = false;
    await answeringDaemon();
    await (commands === null ? again(commands) : Promise.all(commands.map(perform)));
  }
  const pid = await answeringDaemon();
  if (pid !== daemonPid)
    problems.add(`the daemon ${daemonPid} has gone by itself, ${pid} is in its place: ${tail('daemon.log')}`);
  daemonPid = pid;
  await settle();
}

function commandFor(random, name) {
  const kind = pick(
    random,
    [
      'start',
      'stop',
      'restart',
      'scale',
      'delete',
      'signal',
      'stop-start',
      'one',
      'reload',
      'reload',
      'reload',
      'reload-one',
      'bad-reload',
      'reload-twice',
    ],
    1,
  )[0];
  return { name, kind, count: 1 + Math.floor(random() * 3) };
}

async function perform({ name, kind, count }) {
  const present = wanted.get(name);
  if (present === undefined) {
    await run(['start', '-c', file(), name]);
    wanted.set(name, { count: SERVICES[name].instances ?? 1, isUp: true });
    return;
  }
  if (kind === 'delete') {
    await run(['delete', name], [0, 1, 4]);
    wanted.delete(name);
  } else if (kind === 'stop') {
    present.isUp = false;
    await run(['stop', name]);
  } else if (kind === 'scale' && present.isUp) {
    await run(['scale', name, String(count)]);
    present.count = count;
  } else if (kind.startsWith('reload') && present.isUp) {
    const target = kind === 'reload-one' ? `${name}:0` : name;
    const twice = kind === 'reload-twice' ? [run(['reload', name])] : [];
    await Promise.all([run(['reload', target]), ...twice]);
  } else if (kind === 'bad-reload' && present.isUp && PORTS[name] !== undefined) {
    const { status } = await run(['reload', '--update-env', name], [1], { BAD: '1' });
    if (status === 0 && !isDaemonDisturbed) problems.add(`a reload of ${name} that could not come up exited with 0`);
  } else if (kind === 'signal' && name !== CRASHES) await run(['signal', 'HUP', name], [0, 3]);
  else if (kind === 'one' && present.isUp) await run(['restart', `${name}:0`]);
  else if (kind === 'restart' || kind === 'one') {
    await run(['restart', name]);
    present.isUp = true;
  } else {
    if (kind === 'stop-start') await run(['stop', name]);
    await run(['start', name]);
    present.isUp = true;
  }
}

/** A file with another set of services, counts and variables each time, but for `isWhole`. */
async function applyFile(random, isWhole) {
  const names = Object.keys(SERVICES).filter((name) => isWhole || name === 'steady' || random() < 0.7);
  applied = names.map((name) => [
    name,
    {
      count: isWhole ? (SERVICES[name].instances ?? 1) : 1 + Math.floor(random() * 2),
      // A change of what ends by itself is given up, and leaves the services behind it as they are.
      version: name === CRASHES ? 0 : Math.floor(random() * 3),
    },
  ]);
  await again();
}

async function again() {
  await run(['apply', '-c', file('applied.yaml', applied)]);
  wanted.clear();
  for (const [name, { count }] of applied) wanted.set(name, { count, isUp: true });
}

function file(name = 'all.yaml', entries = Object.keys(SERVICES).map((service) => [service, { version: 0 }])) {
  const services = entries.map(([service, { count, version }]) => [
    service,
    {
      ...SERVICES[service],
      command: [process.execPath, puppet],
      env: { KIND: service, VERSION: version, ...portOf(service) },
      ...(PORTS[service] === undefined ? {} : { sockets: { main: `127.0.0.1:${portOf(service).PORT}` } }),
      instances: count ?? SERVICES[service].instances ?? 1,
      restart: { minDelay: '20ms', maxDelay: '200ms', limit: 1_000_000, ...SERVICES[service].restart },
    },
  ]);
  const path = join(folder, name);
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ services: Object.fromEntries(services) }));
  return path;
}

function portOf(service) {
  return PORTS[service] === undefined ? {} : { PORT: String(firstPort + PORTS[service]) };
}

/** Runs a command of the CLI; an exit status that it must not have is a problem, unless the daemon was taken from under it. */
function run(args, statuses = [0, 1], more = {}) {
  counts.commands++;
  lastStep = `gsup ${args.join(' ')}`;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [gsup, ...args], {
      env: { ...environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, COMMAND_CEILING_MS);
    child.on('close', (status) => {
      clearTimeout(timer);
      const what = `gsup ${args.join(' ')}`;
      if (isLate) problems.add(`${what} did not end within ${COMMAND_CEILING_MS / 1000} s: ${stderr.slice(-600)}`);
      else if (/^\s+at .*:\d+:\d+/m.test(stderr)) problems.add(`${what} printed a stack: ${stderr.slice(-1500)}`);
      else if (!isDaemonDisturbed && !statuses.includes(status))
        problems.add(`${what} exited with ${status}: ${stderr.slice(-600)}`);
      resolve({ status, stdout, stderr });
    });
  });
}

async function killDaemon() {
  const { stdout } = await run(['ping', '--json'], [0, 3]);
  const pid = stdout === '' ? null : JSON.parse(stdout).pid;
  if (pid === null) return;
  counts['daemons killed']++;
  const gap = [Date.now(), Number.POSITIVE_INFINITY];
  gaps.push(gap);
  attempt(() => process.kill(pid, 'SIGKILL'));
  daemonPid = await answeringDaemon();
  gap[1] = Date.now();
}

async function update() {
  counts.updates++;
  const gap = [Date.now(), Number.POSITIVE_INFINITY];
  gaps.push(gap);
  await run(['update'], [0, 3]);
  daemonPid = await answeringDaemon();
  gap[1] = Date.now();
}

/** The pid of the daemon that answers; one is started when there is none. */
async function answeringDaemon() {
  await run(['ls', '--json'], [0]);
  const { stdout } = await run(['ping', '--json'], [0]);
  if (stdout === '') return null;
  const { pid, native } = JSON.parse(stdout);
  isNative &&= native;
  return pid;
}

async function killLeaders(random, count) {
  const living = [...runs.values()].filter(({ gone }) => gone === null).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { pid, id } of pick(random, living, count)) {
    // The pid is still this run's: the soak hears of its end by its socket, and the token stands in its environment.
    if (!environ(pid).includes(`GSUP_ID=${id}`)) continue;
    counts['leaders killed']++;
    attempt(() => process.kill(pid, 'SIGKILL'));
  }
}

/** A run says who it is; the kernel closes its socket when it ends. */
function meet(socket) {
  let text = '';
  let known = null;
  socket.on('error', () => {});
  socket.on('data', (part) => {
    text += part;
    if (!text.endsWith('\n') || known !== null) return;
    const { id, service, index, pid } = JSON.parse(text);
    const name = `${service}:${index}`;
    const twin = [...runs.values()].find((one) => one.name === name && one.gone === null && isPuppet(one));
    if (twin !== undefined && !isBeside(service) && isPuppet({ pid, id }))
      problems.add(`${name} runs twice: ${twin.pid} (${twin.id}) and ${pid} (${id})`);
    if (runs.has(id)) problems.add(`the token ${id} of ${name} was given twice`);
    known = { id, name, pid, gone: null };
    runs.set(id, known);
  });
  socket.on('close', () => {
    if (known !== null) known.gone = Date.now();
  });
}

// ---- what must be true ----

/** Waits until what runs is what should run; says what isn't when that does not come. */
async function settle() {
  lastStep = 'waiting until what should run does';
  let wrong = [];
  const seen = new Set();
  for (const until = Date.now() + FACT_CEILING_MS; Date.now() < until; await later(100)) {
    wrong = await differences(seen);
    if (wrong.length === 0) return;
  }
  for (const one of wrong) problems.add(one);
}

/** `seen`: the instances that were seen running before. */
async function differences(seen) {
  const { stdout } = await run(['ls', '--json'], [0]);
  const rows = stdout === '' ? [] : JSON.parse(stdout);
  const wrong = [];
  const byName = new Map(rows.map((row) => [row.instance, row]));
  for (const [service, { count, isUp }] of wanted) {
    for (let index = 0; index < count; index++) {
      const row = byName.get(`${service}:${index}`);
      byName.delete(`${service}:${index}`);
      if (row === undefined && service === CRASHES && index > 0) continue;
      if (row === undefined) wrong.push(`${service}:${index} is missing from ls`);
      else if (service === ENDS) continue;
      else if (row.state === 'running') seen.add(row.instance);
      if (row === undefined || (service === CRASHES && seen.has(row.instance))) continue;
      if (isUp && row.state !== 'running')
        wrong.push(`${row.instance} should run, but is ${row.state} (${row.reason})`);
      else if (!isUp && row.state !== 'stopped' && row.state !== 'exited')
        wrong.push(`${row.instance} should be stopped, but is ${row.state}`);
    }
  }
  for (const { instance, service } of byName.values()) {
    // A change of what ends by itself may be given up, its new count with it.
    if (service !== CRASHES || !wanted.has(CRASHES)) wrong.push(`${instance} is in ls, but was deleted`);
  }
  const allowed = new Map(rows.filter(({ pid }) => pid !== null).map((row) => [row.id, row]));
  const leaders = new Set();
  for (const { pid, id, command } of ours()) {
    if (id === null) {
      if (pid !== daemonPid) wrong.push(`${pid} (${command}) runs and is none of ls`);
      continue;
    }
    const row = allowed.get(id);
    if (row === undefined)
      wrong.push(
        `${pid} (${command}) of the run ${id} (${runs.get(id)?.name ?? 'never heard of'}) runs, but ls has no such run`,
      );
    else if (row.pid === pid) leaders.add(row.instance);
  }
  for (const { instance, pid, state } of allowed.values()) {
    if (state === 'running' && !leaders.has(instance))
      wrong.push(`${instance} is running as ${pid} for ls, but there is no such process`);
  }
  return [...wrong, ...leftovers(rows), ...(await silentPorts())];
}

/** Nothing of a rolling restart is left in the state, among the streams, or beside the link. */
function leftovers(rows) {
  const wrong = [];
  const state = parse(read(join(home, 'state.json')));
  if (state === null) return ['state.json is no JSON'];
  for (const [name, { spares, rolling }] of Object.entries(state.state.services)) {
    if (rolling !== null) wrong.push(`${name} has a rolling restart: ${JSON.stringify(rolling).slice(0, 300)}`);
    if (Object.keys(spares).length > 0) wrong.push(`${name} has spares: ${JSON.stringify(spares).slice(0, 300)}`);
  }
  for (const name of Object.keys(state.environments))
    if (name.endsWith(' next')) wrong.push(`an environment is staged: ${name}`);
  const places = new Map();
  for (const file of readdirSync(join(home, 'streams'))) {
    const instance = file.replace(/\+?\.(stdout|stderr)(\.rest)?$/, '');
    places.set(instance, new Set([...(places.get(instance) ?? []), file.replace(/\.(stdout|stderr).*$/, '')]));
  }
  for (const [instance, slots] of places) {
    if (slots.size > 1) wrong.push(`${instance} has streams for two runs: ${[...slots].join(', ')}`);
    if (!rows.some((row) => row.instance === instance)) wrong.push(`streams of ${instance} are left`);
  }
  const links = new Set(
    ours()
      .map(({ pid }) => linkOf(pid))
      .filter((path) => path !== null),
  );
  const living = new Set(rows.filter(({ pid }) => pid !== null).flatMap(({ id }) => [id.slice(0, 13), id.slice(-12)]));
  for (const link of links) {
    for (const file of attempt(() => readdirSync(dirname(link))) ?? [])
      if (/^[nr]-/.test(file) && !living.has(file.slice(2))) wrong.push(`beside the link ${file} is left`);
  }
  return wrong;
}

function linkOf(pid) {
  return (
    environ(pid)
      .find((one) => one.startsWith('GSUP_LINK='))
      ?.slice(10) ?? null
  );
}

/** Every port of a service that is up answers. */
async function silentPorts() {
  const up = [...wanted].filter(([name, { isUp }]) => isUp && PORTS[name] !== undefined);
  const answers = await Promise.all(
    up.map(
      ([name]) =>
        new Promise((resolve) => {
          const socket = connect(Number(portOf(name).PORT), '127.0.0.1');
          let text = '';
          const end = (problem) => {
            socket.destroy();
            resolve(problem);
          };
          socket.setTimeout(2000, () => end(`the port of ${name} does not answer`));
          socket.on('error', ({ code }) => end(`the port of ${name}: ${code}`));
          socket.on('data', (part) => (text += part));
          socket.on('end', () => end(runs.has(text) ? null : `the port of ${name} answers ${JSON.stringify(text)}`));
        }),
    ),
  );
  return answers.filter((problem) => problem !== null);
}

/** All processes of this soak: with its home in their environment, or its folder in their command line. */
function ours() {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    const variables = environ(pid);
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    const isOurs =
      variables.includes(`GSUP_HOME=${home}`) || (command.includes(folder) && !command.includes('soak.mjs'));
    if (!isOurs) return [];
    return [
      {
        pid,
        command: command.slice(0, 100),
        id: variables.find((one) => one.startsWith('GSUP_ID='))?.slice(8) ?? null,
      },
    ];
  });
}

/** Right after its begin, without services: what a daemon that has grown is measured by. */
async function freshDaemon() {
  daemonPid = await answeringDaemon();
  return footprint();
}

function footprint() {
  const files = attempt(() => readdirSync(`/proc/${daemonPid}/fd`)) ?? [];
  const targets = files.map((fd) => attempt(() => readlinkSync(`/proc/${daemonPid}/fd/${fd}`)) ?? '');
  const pss = Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${daemonPid}/smaps_rollup`))?.[1] ?? 0);
  return { descriptors: targets.filter((target) => target !== '').sort(), pssKb: pss };
}

/** Two FIFOs, a log file, a pidfd (adopted) and a channel (Node) for each instance; nothing deleted; the rest as at the begin. */
function checkDaemon(fresh, before, after) {
  const instances = [...wanted].reduce((sum, [, { count }]) => sum + count, 0);
  const most = fresh.descriptors.length + 6 * instances + 5;
  const { descriptors } = after;
  console.log(
    `soak: daemon: ${fresh.descriptors.length} descriptors fresh, ${descriptors.length} of at most ${most} with ${instances} instances; Pss ${mib(fresh)} fresh, ${mib(before)} → ${mib(after)} MiB`,
  );
  if (descriptors.length > most)
    problems.add(
      `the daemon has ${descriptors.length} descriptors, at most ${most} are explained: ${summary(descriptors)}`,
    );
  for (const target of descriptors)
    if (target.endsWith('(deleted)')) problems.add(`the daemon holds a deleted file: ${target}`);
  const doubled = descriptors.filter(
    (target, at) => target.startsWith(join(home, 'streams')) && target === descriptors[at - 1],
  );
  for (const target of doubled) problems.add(`the daemon has ${target} open twice`);
  // V8's young generation alone may take 48 MB until it is full for the first time.
  const bound = Math.max(before.pssKb, fresh.pssKb) * 1.3 + 48 * 1024;
  if (after.pssKb > bound)
    problems.add(
      `the daemon has grown to ${mib(after)} MiB, from ${mib(fresh)} fresh and ${mib(before)} in the middle`,
    );
}

/** `gsup kill` leaves no process; what is deleted leaves no stream, socket, cgroup or descriptor. */
async function end(fresh) {
  await run(['kill']);
  lastStep = 'gsup kill';
  const left = ours();
  for (const { pid, command, id } of left)
    problems.add(`after gsup kill ${pid} (${command}) of ${runs.get(id)?.name ?? 'no known run'} is left`);
  daemonPid = await answeringDaemon();
  for (const { pid, command, id } of ours())
    if (id !== null) problems.add(`after gsup kill the next daemon runs ${pid} (${command})`);
  if (wanted.size > 0) await run(['delete', 'all'], [0]);
  const { descriptors } = footprint();
  if (descriptors.length > fresh.descriptors.length + 2)
    problems.add(
      `without services the daemon has ${descriptors.length} descriptors, a fresh one ${fresh.descriptors.length}: ${summary(descriptors)}`,
    );
  await run(['kill']);
  for (const { pid, command } of ours()) problems.add(`after the last gsup kill ${pid} (${command}) is left`);
  for (const entry of readdirSync(home, { recursive: true })) {
    const stat = lstatSync(join(home, entry));
    // The lock stays: its number tells the next daemon which one was the last.
    if ((stat.isFIFO() || stat.isSocket()) && !/^lock\.\d+$/.test(entry))
      problems.add(`${stat.isFIFO() ? 'a FIFO' : 'a socket'} is left: ${entry}`);
    if (entry.endsWith('.tmp') || entry.endsWith('.rest')) problems.add(`a file is left: ${entry}`);
  }
  for (const cgroup of cgroups()) problems.add(`a cgroup is left: ${cgroup}`);
  const crash = read(join(home, 'daemon.log'));
  if (crash !== '') problems.add(`the daemon has written to daemon.log: ${crash.slice(-2000)}`);
}

function cgroups() {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(read('/proc/mounts'))?.[1];
  const own = /^0::(.*)$/m.exec(read('/proc/self/cgroup'))?.[1];
  if (mount === undefined || own === undefined) return [];
  return (attempt(() => readdirSync(join(mount, own))) ?? []).filter(
    (name) => name.startsWith('gsup-') && runs.has(name.slice(5)),
  );
}

/** Every line of every run, over all files of each instance, oldest first. */
function checkLogs() {
  const folderOfLogs = join(home, 'logs');
  const found = new Map();
  for (const instance of new Set(readdirSync(folderOfLogs).map((name) => name.replace(/\.log.*$/, '')))) {
    for (const line of linesOf(folderOfLogs, instance)) account(found, line, instance);
  }
  for (const [id, run] of runs) {
    const truth = parse(read(join(truths, id)));
    if (truth === null) continue;
    counts.runs++;
    const mayMiss = isInGap(truth.at, run.gone);
    for (const [stream, key] of [
      [0, id],
      [1, `${id}.e`],
    ])
      checkRun({ run, key, truth, stream, mayMiss, last: found.get(key) ?? 0 });
  }
}

function checkRun({ run, key, truth, stream, mayMiss, last }) {
  const [begun, done] = [truth.begun[stream], truth.done[stream]];
  const who = `${run.name} (${key})`;
  if (last > begun) problems.add(`${who}: line ${last} is in the log, but it wrote only ${begun}`);
  if (last >= done) return;
  if (!mayMiss)
    problems.add(`${who}: the last ${done - last} of ${done} lines are missing, and a daemon lived when it ended`);
  else if (bytesOf(key, last + 1, done) > PIPE_BYTES)
    problems.add(`${who}: the last ${done - last} lines are missing, more than a pipe holds`);
}

/** Takes a line as the next of its run; anything but the next is told. */
function account(found, line, instance) {
  counts.lines++;
  const match = /^([0-9a-f-]{36})((?:\.[a-z0-9]+)?) (\d+) (.*)$/.exec(line);
  const n = Number(match?.[3]);
  const isWhole = match !== null && (/^\.[cd]/.test(match[2]) ? match[4] === '-' : match[4] === `${payload(n)}.`);
  if (!isWhole) {
    // Raw files have no line of their own for what was torn when nobody lived: the next run's first line follows on it.
    const next = /.+?([0-9a-f-]{36}(?:\.[a-z0-9]+)? \d+ \S+)$/.exec(line)?.[1];
    const torn = runs.get(line.slice(0, 36));
    if (next !== undefined && torn !== undefined && mayMissTail(torn)) return account(found, next, instance);
    if (torn === undefined || !mayMissTail(torn))
      problems.add(`${instance}: a torn line: ${JSON.stringify(line.slice(0, 250))}`);
    return undefined;
  }
  const key = match[1] + match[2];
  const before = found.get(key) ?? 0;
  const name = runs.get(match[1])?.name ?? instance;
  if (name !== instance) problems.add(`${instance} has a line of ${name} (${key} ${n})`);
  if (n <= before) problems.add(`${instance} (${key}): line ${n} comes again after ${before}`);
  else if (n > before + 1)
    problems.add(
      `${instance} (${key}): ${n - before - 1} lines are missing between ${before} and ${n}${isNative ? '' : ' (no koffi: a daemon killed with -9 loses what it has just read)'}`,
    );
  found.set(key, Math.max(n, before));
  return undefined;
}

function linesOf(folderOfLogs, instance) {
  const number = (name) => Number(/\.log\.(\d+)/.exec(name)?.[1] ?? 0);
  const files = readdirSync(folderOfLogs).filter(
    (name) => name === `${instance}.log` || name.startsWith(`${instance}.log.`),
  );
  const whole = files.filter(
    (name) => !(name.endsWith('.gz-partial') || (files.includes(`${name}.gz`) && !name.endsWith('.gz'))),
  );
  const parts = whole
    .sort((a, b) => number(b) - number(a))
    .map((name) => {
      const bytes = readFileSync(join(folderOfLogs, name));
      return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
    });
  return Buffer.concat(parts).toString().split('\n').slice(0, -1).map(contentOf);
}

function contentOf(line) {
  if (line.startsWith('{')) return parse(line)?.line ?? line;
  return /^\d{4}-\d\d-\d\dT\S+ std(?:out|err) F (.*)$/.exec(line)?.[1] ?? line;
}

function mayMissTail({ id, gone }) {
  return isInGap(parse(read(join(truths, id)))?.at ?? 0, gone);
}

/** It was last known to live at `alive`, and known to have ended at `gone`. */
function isInGap(alive, gone) {
  return gaps.some(([from, to]) => alive <= to && (gone ?? Number.POSITIVE_INFINITY) >= from);
}

function payload(n) {
  return 'abcdefghij'.repeat(13).slice(0, (n * 37) % 120);
}

function bytesOf(key, from, to) {
  let sum = 0;
  for (let n = from; n <= to; n++) sum += `${key} ${n} `.length + ((n * 37) % 120) + 2;
  return sum;
}

// ---- tools ----

/** mulberry32 */
function randomOf(from) {
  let a = from >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function pick(random, from, count) {
  const rest = [...from];
  return Array.from(
    { length: Math.min(count, rest.length) },
    () => rest.splice(Math.floor(random() * rest.length), 1)[0],
  );
}

function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isPuppet({ pid, id }) {
  return environ(pid).includes(`GSUP_ID=${id}`) && !/^State:\s+[ZX]/m.test(read(`/proc/${pid}/status`));
}

function environ(pid) {
  return read(`/proc/${pid}/environ`).split('\0');
}

function read(path) {
  return attempt(() => readFileSync(path, 'utf8')) ?? '';
}

function tail(name) {
  return read(join(home, name)).slice(-1500);
}

function parse(text) {
  return attempt(() => JSON.parse(text)) ?? null;
}

function attempt(act) {
  try {
    return act();
  } catch {
    return undefined;
  }
}

function mib({ pssKb }) {
  return (pssKb / 1024).toFixed(1);
}

function summary(targets) {
  const kinds = new Map();
  for (const target of targets) {
    const kind = target.replace(home, '').replace(/\[\d+\]|\d+/g, 'N');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => `${count} × ${kind}`).join(', ');
}
