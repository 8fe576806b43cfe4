// What `gsup/app` costs and how it drains beside http-terminator, stoppable, terminus, lightship, close-with-grace and a bare Node.
// Usage: npm run build && node bench/app.mjs [--quick] [--json FILE] [--only drain,race,throughput,memory,load] [--libraries gsup/app,bare]
// The same node:http app for each, SIGTERM, real sockets; A B A B, medians, ratios of the same moments. The libraries are installed
// by npm into a temporary prefix. Ends by itself.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string' },
    libraries: { type: 'string' },
  },
});
const rounds = values.quick
  ? { drain: 1, race: 3, lives: 2, slices: 6, memory: 1, load: 7 }
  : { drain: 4, race: 8, lives: 4, slices: 16, memory: 3, load: 21 };
/** Short: what else the machine does is then the same for all in a round. */
const SLICE_MS = 250;
const WARM_MS = 1000;
const IDLE = 200;
const BUSY = 20;
const STRANGE = 5;
const RACERS = 24;
/** From SIGTERM until the answers of the busy requests are given. */
const ANSWER_AFTER_MS = 300;
/** What has not ended by then is cut. */
const END_CEILING_MS = 15_000;
/** What takes longer waits for a timeout, and is seen once. */
const TIMEOUT_MS = 5000;
/** What every library may take, where it can be set. */
const GRACE_MS = 10_000;
const MEMORY_CONNECTIONS = 2000;
const WHOLE = `${'whole '.repeat(170)}\n`;
/** No step may take longer: whatever hangs ends the bench. */
const STEP_CEILING_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'gsup-bench-'));
const prefix = join(folder, 'npm');
const children = new Set();
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

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
].filter(({ name }) => values.libraries === undefined || [...values.libraries.split(','), 'bare'].includes(name));
if (LIBRARIES.length < 2) throw new Error(`--libraries ${values.libraries}: none of them is known`);

/** /busy is answered, and the second half of /stream, when the bench says so; all is said on fd 3, that keeps nothing alive. */
const app = ({ load, use }) => `${load}
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
/** Raw requests over six kept connections, without parsing: cheaper than what answers them. For each line, a port and ms. */
const HAMMER = `
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
const request = 'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n';
for await (const line of createInterface({ input: process.stdin })) {
  const [port, ms] = line.split(' ').map(Number);
  let [answers, failures, isOver] = [0, 0, false];
  const begun = performance.now();
  setTimeout(() => (isOver = true), ms);
  await Promise.all(Array.from({ length: 6 }, () => new Promise((closed) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      if (bytes.latin1Slice(0, 12) !== 'HTTP/1.1 200' || bytes.latin1Slice(bytes.length - 4) !== '\\nok\\n') failures++;
      answers++;
      if (isOver) socket.end();
      else socket.write(request);
    });
    socket.on('error', () => failures++);
    socket.on('close', closed);
  })));
  console.log(JSON.stringify({ answers, failures, ms: performance.now() - begun }));
}
`;

const versions = install();
for (const library of LIBRARIES) library.script = written(`app-${LIBRARIES.indexOf(library)}.mjs`, app(library));
const hammerScript = written('hammer.mjs', HAMMER);
const loadBefore = loadavg()[0];
const machine = `Node ${process.versions.node}, ${cpus().length} cores, Linux ${release()}, ${versions.join(', ')}; medians (min–max)`;
console.error(machine);

const tables = [];
const raw = {};
const probes = { drain: drains, race: races, throughput: carriesRequests, memory: holdsConnections, load: isLoaded };
for (const [name, probe] of Object.entries(probes)) {
  if (values.only !== undefined && !values.only.split(',').includes(name)) continue;
  const begun = performance.now();
  await probe();
  console.error(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}
const busyness = `load average ${loadBefore.toFixed(1)} before, ${loadavg()[0].toFixed(1)} after`;
printTables();
if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, busyness, at: new Date().toISOString(), isQuick: values.quick, rounds, tables, raw }, null, 2)}\n`,
  );
process.exit(0);

// ---- drain ----

async function drains() {
  const variants = [
    {
      key: 'busy',
      path: '/busy',
      strange: 0,
      title: `${IDLE} idle connections, ${BUSY} busy ones, answered whole 300 ms after SIGTERM`,
    },
    {
      key: 'strange',
      path: '/busy',
      strange: STRANGE,
      title: `the same, and ${STRANGE} with half a head, ${STRANGE} never used`,
    },
    {
      key: 'stream',
      path: '/stream',
      strange: 0,
      title: `the same as the first, but half of each answer had been sent before`,
    },
  ];
  raw.drain = {};
  for (const variant of variants) {
    const found = emptyFor(LIBRARIES, [
      'whole',
      'failed',
      'told',
      'lastAnswerMs',
      'idleMs',
      'idleLastMs',
      'exitMs',
      'end',
    ]);
    for (let round = 0; round < rounds.drain; round++) {
      for (const library of LIBRARIES) {
        const own = found[library.name];
        // A timeout takes as long each time.
        if (!(own.exitMs[0] > TIMEOUT_MS)) gather(own, await drainOnce(library, variant));
      }
    }
    raw.drain[variant.key] = found;
    table(
      `drain: ${variant.title}; times in ms after SIGTERM`,
      [
        'whole',
        'failed',
        'told to close',
        'last answer',
        'idle closed, median',
        'idle closed, last',
        'process ended',
        'how',
        'gsup : it',
      ],
      LIBRARIES.map(({ name }) => {
        const { whole, failed, told, lastAnswerMs, idleMs, idleLastMs, exitMs, end } = found[name];
        const times = [lastAnswerMs, idleMs, idleLastMs, exitMs].map((ms) => shown(ms, 0));
        const ratio = overOwn(found, name, 'exitMs');
        const counts = [whole, failed, told].map((each) => `${sum(each)}/${BUSY * each.length}`);
        return [name, ...counts, ...times, [...new Set(end)].join(', '), ratio];
      }),
    );
    progress(`drain ${variant.key}`, found, 'exitMs');
  }
}

async function drainOnce(library, { path, strange }) {
  const server = await started(library);
  const idle = await openIdle(server.port, IDLE);
  const busy = await Promise.all(Array.from({ length: BUSY }, () => open(server.port)));
  const half = await Promise.all(Array.from({ length: strange }, () => open(server.port)));
  const unused = await Promise.all(Array.from({ length: strange }, () => open(server.port)));
  for (const client of busy) client.ask(path);
  for (const { socket } of half) socket.write('GET / HTTP/1.1\r\nHo');
  const opened = IDLE + BUSY + 2 * strange;
  await server.until(({ connections, waiting }) => connections === opened && waiting === BUSY);
  const all = [...idle, ...busy, ...half, ...unused];
  if (all.some(({ closedAt }) => closedAt !== null)) throw new Error(`${library.name}: closed before SIGTERM`);

  const at = server.signal();
  setTimeout(() => server.say('answer'), ANSWER_AFTER_MS - (performance.now() - at));
  const { end, endedAt } = await server.end();
  await within(
    Promise.all(all.map(({ closed }) => closed)),
    `${library.name}: the connections of an ended process are closed`,
  );
  if (idle.some(({ answers }) => answers.length !== 1))
    throw new Error(`${library.name}: an idle connection was not idle`);
  // Before they could be answered is not drained at all; the whole body is compared.
  const whole = busy.filter(
    ({ answers: [answer] }) => answer?.body === WHOLE && answer.head.startsWith('HTTP/1.1 200 '),
  );
  const closedMs = idle.map(({ closedAt }) => closedAt - at);
  return {
    whole: whole.length,
    failed: BUSY - whole.length,
    told: whole.filter(({ answers: [{ head }] }) => /^connection: close$/im.test(head)).length,
    ...(whole.length > 0 && { lastAnswerMs: Math.max(...whole.map(({ answers: [answer] }) => answer.at - at)) }),
    idleMs: median(closedMs),
    idleLastMs: Math.max(...closedMs),
    exitMs: endedAt - at,
    end,
  };
}

// ---- race ----

/** Clients that ask again after 0 to 4 ms, while SIGTERM comes. A request is lost when its connection ends without an answer. */
async function races() {
  const found = emptyFor(LIBRARIES, ['lost', 'answered', 'after', 'exitMs']);
  for (let round = 0; round < rounds.race; round++)
    for (const library of LIBRARIES) gather(found[library.name], await raceOnce(library));
  raw.race = found;
  table(
    `race: ${RACERS} clients ask on kept connections while SIGTERM comes, ${rounds.race} times`,
    ['requests lost', 'answered after SIGTERM', 'answered in all', 'process ended, ms', 'gsup : it'],
    LIBRARIES.map(({ name }) => {
      const { lost, answered, after, exitMs } = found[name];
      return [name, sum(lost), sum(after), sum(answered), shown(exitMs, 0), overOwn(found, name, 'exitMs')];
    }),
  );
  progress('race', found, 'exitMs');
}

async function raceOnce(library) {
  const server = await started(library);
  const clients = await openIdle(server.port, RACERS);
  for (const client of clients) {
    client.answered = ({ head }) => {
      if (!/^connection: close$/im.test(head)) setTimeout(() => client.ask('/'), Math.random() * 4);
    };
    client.ask('/');
  }
  await later(150 + Math.random() * 50);
  const at = server.signal();
  const { endedAt } = await server.end();
  await within(Promise.all(clients.map(({ closed }) => closed)), `${library.name}: the clients are closed`);
  const answers = clients.flatMap((client) => client.answers);
  if (answers.some(({ body }) => body !== 'ok\n')) throw new Error(`${library.name}: a wrong answer`);
  const lost = sum(clients.map(({ asked, answers: own }) => asked - own.length));
  const after = answers.filter((answer) => answer.at > at).length;
  return { lost, answered: answers.length, after, exitMs: endedAt - at };
}

// ---- throughput ----

/** In each life of the servers all are asked in turn, in short slices; the bare one twice: how far it is from itself is the noise. */
async function carriesRequests() {
  const bare = LIBRARIES.find(({ name }) => name === 'bare');
  const contestants = [...LIBRARIES, { ...bare, name: 'bare again' }];
  const found = emptyFor(contestants, ['rate', 'cpuUs', 'rateRatio', 'cpuRatio']);
  for (let life = 0; life < rounds.lives; life++) {
    const servers = new Map();
    for (const library of contestants) servers.set(library.name, await started(library));
    const hammer = startHammer();
    for (const server of servers.values()) await measured(hammer, server, WARM_MS);
    for (let slice = 0; slice < rounds.slices; slice++) {
      const round = {};
      for (const { name } of turned(contestants, life * rounds.slices + slice))
        round[name] = await measured(hammer, servers.get(name), SLICE_MS);
      for (const { name } of contestants) {
        const { rate, cpuUs } = round[name];
        gather(found[name], { rate, cpuUs, rateRatio: rate / round.bare.rate, cpuRatio: cpuUs / round.bare.cpuUs });
      }
    }
    await hammer.end();
    for (const server of servers.values()) await server.kill();
  }
  raw.throughput = found;
  table(
    `throughput: kept connections, ${rounds.lives} lives × ${rounds.slices} slices of ${SLICE_MS} ms; × bare: of the same slice`,
    ['requests a second', '× bare', 'processor time of a request, µs', '× bare', 'gsup : it (processor time)'],
    contestants.map(({ name }) => {
      const { rate, cpuUs, rateRatio, cpuRatio } = found[name];
      const ratio = overOwn(found, name, 'cpuRatio', 3);
      return [name, shown(rate, 0), shown(rateRatio, 3), shown(cpuUs, 2), shown(cpuRatio, 3), ratio];
    }),
  );
  progress('throughput', found, 'cpuRatio', 3);
}

async function measured(hammer, { port, pid, count }, ms) {
  const { served } = await count();
  const before = cpuOf(pid);
  const { answers, failures, ms: took } = await hammer.on(port, ms);
  const used = cpuOf(pid) - before;
  const { served: inAll } = await count();
  if (failures > 0 || inAll - served !== answers)
    throw new Error(`${failures} wrong answers, ${inAll - served} served, ${answers} answered`);
  return { rate: (answers * 1000) / took, cpuUs: used / answers };
}

function startHammer() {
  const child = spawn(process.execPath, [hammerScript], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  const ended = once(child, 'exit').then(() => children.delete(child));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    on: async (port, ms) => {
      child.stdin.write(`${port} ${ms}\n`);
      return JSON.parse((await within(lines.next(), 'the answers of a slice')).value);
    },
    end: () => {
      child.stdin.end();
      return within(ended, 'the end of the clients');
    },
  };
}

/** Of all its threads: the first word of schedstat is nanoseconds on a processor. */
function cpuOf(pid) {
  return sum(
    readdirSync(`/proc/${pid}/task`).map(
      (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]) / 1000,
    ),
  );
}

// ---- memory ----

/** What open connections take: after minus before, for 1,000; a first hundred has loaded what is loaded once. */
async function holdsConnections() {
  const found = emptyFor(LIBRARIES, ['startHeap', 'startPss', 'heap', 'rss', 'pss']);
  for (let round = 0; round < rounds.memory; round++) {
    for (const library of LIBRARIES) {
      const server = await started(library, { KEEP_ALIVE_MS: '600000' });
      const start = await memoryOf(server);
      for (const client of await openIdle(server.port, 100)) client.socket.destroy();
      await server.until(({ connections }) => connections === 0);
      const before = await memoryOf(server);
      const idle = await openIdle(server.port, MEMORY_CONNECTIONS);
      const { connections, served } = await server.count();
      if (connections !== MEMORY_CONNECTIONS || served !== MEMORY_CONNECTIONS + 100)
        throw new Error(`${library.name}: ${connections} connections`);
      const after = await memoryOf(server);
      const grown = Object.fromEntries(
        Object.keys(after).map((key) => [key, ((after[key] - before[key]) * 1000) / MEMORY_CONNECTIONS]),
      );
      gather(found[library.name], { ...grown, startHeap: start.heap, startPss: start.pss });
      for (const { socket } of idle) socket.destroy();
      await server.kill();
    }
  }
  raw.memory = found;
  table(
    `memory, KiB: a server before its first request, and for every 1,000 idle kept connections (${MEMORY_CONNECTIONS} open, each has asked once)`,
    [
      'heap at start',
      'anonymous Pss at start',
      'heap',
      'heap − bare',
      'anonymous Pss',
      'the same − bare',
      'RSS',
      'RSS − bare',
      'gsup : it (heap)',
    ],
    LIBRARIES.map(({ name }) => {
      const pairs = ['heap', 'pss', 'rss'].flatMap((key) => [
        shown(found[name][key], 0),
        (median(found[name][key]) - median(found.bare[key])).toFixed(0),
      ]);
      return [
        name,
        shown(found[name].startHeap, 0),
        shown(found[name].startPss, 0),
        ...pairs,
        overOwn(found, name, 'heap'),
      ];
    }),
  );
  progress('memory', found, 'heap');
}

async function memoryOf({ ask, pid }) {
  const { heapUsed, rss } = await ask('memory');
  // Anonymous: how much of Node's own file a process shares depends on how many others run.
  const pss = Number(/^Pss_Anon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))[1]);
  return { heap: heapUsed / 1024, rss: rss / 1024, pss };
}

// ---- load ----

/** In a process that has node:http, as every app here has; and what a process takes that does nothing else. */
async function isLoaded() {
  const kinds = ['import', 'require'];
  const loaded = LIBRARIES.filter(({ module }) => module !== undefined);
  const found = emptyFor(
    loaded,
    kinds.flatMap((kind) => [kind, `${kind}Process`]),
  );
  const scripts = Object.fromEntries(kinds.map((kind) => [kind, loadScripts(kind, loaded)]));
  for (let round = 0; round < rounds.load; round++) {
    for (const kind of kinds) {
      const emptyMs = numberFrom(scripts[kind].empty);
      for (const { name } of turned(loaded, round)) {
        if (scripts[kind][name] === undefined) continue;
        const { timed, whole } = scripts[kind][name];
        gather(found[name], { [kind]: numberFrom(timed), [`${kind}Process`]: numberFrom(whole) - emptyMs });
      }
    }
  }
  raw.load = found;
  table(
    `load, ms: in a process that has node:http; and processor time of a process that only loads it, minus an empty one's, ${rounds.load} rounds`,
    ['import', 'gsup : it', 'require', 'gsup : it', 'processor time, import', 'processor time, require'],
    loaded.map(({ name }) => {
      const inside = kinds.flatMap((kind) => [shown(found[name][kind], 2), overOwn(found, name, kind)]);
      return [name, ...inside, ...kinds.map((kind) => shown(found[name][`${kind}Process`], 1))];
    }),
  );
  progress('load', found, 'import', 2);
}

/** Two for each library, and an empty one. One that can not be required has none. */
function loadScripts(kind, loaded) {
  const ending = kind === 'import' ? 'mjs' : 'cjs';
  const line = (module) => (kind === 'import' ? `await import('${module}');` : `require('${module}');`);
  const used = 'const { user, system } = process.cpuUsage();\nconsole.log((user + system) / 1000);';
  const scripts = { empty: written(`empty.${ending}`, used) };
  for (const [n, { name, module }] of loaded.entries()) {
    const text = [line('node:http'), 'const begun = performance.now();', line(module)];
    const timed = written(`timed-${n}.${ending}`, [...text, 'console.log(performance.now() - begun);'].join('\n'));
    const whole = written(`whole-${n}.${ending}`, `${line(module)}\n${used}`);
    const { status, stderr } = run(timed);
    if (status === 0) scripts[name] = { timed, whole };
    else if (kind === 'require' && name !== 'gsup/app')
      console.error(`  ${name} can not be required: ${errorOf(stderr)}`);
    else throw new Error(`${name}: ${kind} fails: ${stderr}`);
  }
  return scripts;
}

function errorOf(stderr) {
  return stderr.split('\n').find((line) => /^\w*Error/.test(line)) ?? stderr;
}

function numberFrom(script) {
  const { status, stdout, stderr } = run(script);
  if (status !== 0) throw new Error(`${script} exited with ${status}: ${stderr}`);
  return Number(stdout);
}

function run(script) {
  return spawnSync(process.execPath, [script], { cwd: prefix, encoding: 'utf8', timeout: STEP_CEILING_MS });
}

// ---- the servers ----

/** Runs the app with this library until it listens. */
async function started({ name, script }, environment = {}) {
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, ['--expose-gc', script], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env });
  children.add(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const ended = once(child, 'exit').then(([code, signal]) => {
    children.delete(child);
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

// ---- clients ----

/** One raw connection, connected: what it has asked, what was answered, and when it was closed. */
async function open(port) {
  const socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
  const client = { socket, asked: 0, answers: [], answered: () => {}, closedAt: null, closed: null, ask };
  client.closed = new Promise((resolve) => {
    const note = () => {
      client.closedAt ??= performance.now();
      resolve();
    };
    socket.on('error', note).on('end', note).on('close', note);
  });
  let bytes = '';
  socket.on('data', (text) => {
    bytes += text;
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = bytes.slice(0, end).replaceAll('\r', '');
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
    const body = bytes.slice(end + 4);
    if (body.length < length) return;
    bytes = '';
    const answer = { head, body, at: performance.now() };
    client.answers.push(answer);
    client.answered(answer);
  });
  function ask(path) {
    if (client.closedAt !== null) return;
    client.asked += 1;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await within(once(socket, 'connect'), 'a connection');
  return client;
}

/** Kept connections that have made a request each, fifty at a time. */
async function openIdle(port, wanted) {
  const clients = [];
  while (clients.length < wanted) {
    const some = await Promise.all(Array.from({ length: Math.min(50, wanted - clients.length) }, () => open(port)));
    const answers = some.map((client) => new Promise((answered) => (client.answered = answered)));
    for (const client of some) client.ask('/');
    await within(Promise.all(answers), 'the answers of the idle connections');
    for (const client of some) client.answered = () => {};
    clients.push(...some);
  }
  return clients;
}

// ---- around ----

/** Into a prefix of its own, where `gsup` is this repository; what it is and in which version. */
function install() {
  const modules = LIBRARIES.flatMap(({ module }) => (module === undefined || module === 'gsup/app' ? [] : [module]));
  mkdirSync(join(prefix, 'node_modules'), { recursive: true });
  const args = ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel', 'error', ...modules];
  const { status } =
    modules.length === 0 ? { status: 0 } : spawnSync('npm', args, { stdio: 'ignore', timeout: 180_000 });
  if (status !== 0) throw new Error(`${modules.join(', ')} can not be installed by npm`);
  symlinkSync(resolve('.'), join(prefix, 'node_modules/gsup'));
  const packages = ['gsup', ...modules].map((name) => join(prefix, 'node_modules', name, 'package.json'));
  return packages
    .map((file) => JSON.parse(readFileSync(file, 'utf8')))
    .map(({ name, version }) => `${name} ${version}`);
}

/** Where the libraries are found. */
function written(name, text) {
  const path = join(prefix, name);
  writeFileSync(path, text);
  return path;
}

function cleanUp() {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

function within(promise, what) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${STEP_CEILING_MS / 1000} s: ${what}`)), STEP_CEILING_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// ---- figures ----

function emptyFor(libraries, keys) {
  return Object.fromEntries(libraries.map(({ name }) => [name, Object.fromEntries(keys.map((key) => [key, []]))]));
}

function gather(into, figures) {
  for (const [key, value] of Object.entries(figures)) into[key]?.push(value);
}

/** Nobody is always the first. */
function turned(list, by) {
  return list.map((_one, n) => list[(n + by) % list.length]);
}

function overOwn(found, name, key, digits = 2) {
  if (found['gsup/app'] === undefined || found[name][key].length === 0) return '';
  return (median(found['gsup/app'][key]) / median(found[name][key])).toFixed(digits);
}

function shown(numbers, digits) {
  if (numbers.length === 0) return '–';
  const text = (number) => number.toFixed(digits);
  return `${text(median(numbers))} (${text(Math.min(...numbers))}–${text(Math.max(...numbers))})`;
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function table(title, columns, lines) {
  tables.push({ title, columns, lines });
}

function progress(title, found, key, digits = 0) {
  const cells = Object.entries(found).map(([name, figures]) => `${name} ${shown(figures[key], digits)}`);
  console.error(`  ${title}, ${key}: ${cells.join(', ')}`);
}

function printTables() {
  console.log(`${machine}; ${busyness}\n`);
  for (const { title, columns, lines } of tables) {
    console.log(`${title}\n`);
    console.log(`| | ${columns.join(' | ')} |`);
    console.log(`|---|${columns.map(() => '---|').join('')}`);
    for (const cells of lines) console.log(`| ${cells.join(' | ')} |`);
    console.log('');
  }
}
