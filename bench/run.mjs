// What `gsup run` costs beside a bare Node and, where they are installed, dumb-init and tini: ratios of one run, medians.
// Usage: npm run bench [-- --rounds N]. Needs `npm run build` first; starts at most 60 processes at once, ends by itself.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } });
const rounds = Number(values.rounds);
const gsup = [process.execPath, resolve('bin/gsup.js'), 'run'];
const folder = mkdtempSync(join(tmpdir(), 'gsup-bench-'));

// The least that Node can do: forward the signal, wait for the exit.
const forwarder = join(folder, 'forwarder.mjs');
writeFileSync(
  forwarder,
  `import { spawn } from 'node:child_process';
const [file, ...args] = process.argv.slice(2);
const child = spawn(file, args, { stdio: 'inherit', detached: true });
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));`,
);
// Says when it is up, when it hears SIGTERM and when it ends, by the clock that all processes share.
const clock = join(folder, 'clock.mjs');
writeFileSync(
  clock,
  `const now = () => process.hrtime.bigint();
process.on('SIGTERM', () => { const heard = now(); process.stdout.write('heard ' + heard + '\\n', () => { process.stdout.write('ended ' + now() + '\\n', () => process.exit(0)); }); });
setInterval(() => {}, 1 << 30);
process.stdout.write('up\\n');`,
);

const supervisors = {
  gsup: [...gsup, '--'],
  'bare Node': [process.execPath, forwarder],
  ...(has('dumb-init') ? { 'dumb-init -c': ['dumb-init', '-c'] } : {}),
  ...(has('tini') ? { tini: ['tini', '-s', '--'] } : {}),
};

console.log(`Node ${process.versions.node}, ${cpus().length} cores, ${rounds} rounds, medians\n`);
await wall();
await memory();
await latencies();
await ceilings();
rmSync(folder, { recursive: true });

async function wall() {
  const node = [];
  const run = [];
  for (let round = 0; round < rounds; round++) {
    node.push(timed([process.execPath, '-e', '0']));
    run.push(timed([...gsup, '--', 'true']));
  }
  console.log(
    `wall of "gsup run -- true": ${median(run).toFixed(1)} ms, ${(median(run) / median(node)).toFixed(2)} x node -e 0 (goal 1.8)`,
  );
}

async function memory() {
  const node = spawn(process.execPath, ['-e', 'setInterval(()=>{},1e9)'], { stdio: 'ignore' });
  const run = spawn(gsup[0], [...gsup.slice(1), '--', 'sleep', '1000'], { stdio: ['ignore', 'ignore', 'pipe'] });
  await seen(run.stderr, /"spawned"/);
  // Both have had time to come to rest: what is asked for is the memory of a supervisor that waits.
  await new Promise((rested) => setTimeout(rested, 2_000));
  const [its, ours] = [pss(node.pid), pss(run.pid)];
  node.kill();
  await ended(run, 'SIGTERM');
  console.log(
    `memory (Pss) of "gsup run -- sleep": ${(ours / 1024).toFixed(1)} MiB, ${(ours / its).toFixed(2)} x idle Node (goal 1.4)`,
  );
}

async function latencies() {
  console.log('\n| | SIGTERM to handler, ms | exit to exit, ms |\n|---|---|---|');
  const results = Object.fromEntries(Object.keys(supervisors).map((name) => [name, { heard: [], left: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, [file, ...args]] of Object.entries(supervisors)) {
      const child = spawn(file, [...args, process.execPath, clock], { stdio: ['ignore', 'pipe', 'ignore'] });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
      await seen(child.stdout, /up/);
      await new Promise((rested) => setTimeout(rested, 150));
      const sent = process.hrtime.bigint();
      const exited = new Promise((end) => child.once('exit', () => end(process.hrtime.bigint())));
      child.kill('SIGTERM');
      const gone = await exited;
      await new Promise((closed) => (child.stdout.closed ? closed() : child.stdout.once('close', closed)));
      results[name].heard.push(Number(BigInt(/heard (\d+)/.exec(text)[1]) - sent) / 1e6);
      results[name].left.push(Number(gone - BigInt(/ended (\d+)/.exec(text)[1])) / 1e6);
    }
  }
  for (const [name, { heard, left }] of Object.entries(results)) {
    console.log(`| ${name} | ${median(heard).toFixed(2)} | ${median(left).toFixed(1)} |`);
  }
}

async function ceilings() {
  const stubborn = ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.2; done'];
  console.log(
    `\nstubborn child, grace 1 s: gone after ${(await stop(['--grace', '1s', '--', ...stubborn], 1)).toFixed(0)} ms (goal 1100)`,
  );
  const slow = [process.execPath, resolve('fixtures/slow.mjs')];
  console.log(`a child that needs 0.7 s: gone after ${(await stop(['--', ...slow], 1)).toFixed(0)} ms (goal 750)`);
  console.log(
    `50 stubborn children, grace 1 s: gone after ${(await stop(['-i', '50', '--grace', '1s', '--', ...stubborn], 50)).toFixed(0)} ms`,
  );
}

async function stop(args, count) {
  const child = spawn(gsup[0], [...gsup.slice(1), ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  await new Promise((up) => {
    child.stdout.on('data', (part) => {
      text += part;
      if (text.split('up\n').length > count) up();
    });
  });
  const sent = performance.now();
  await ended(child, 'SIGTERM');
  return performance.now() - sent;
}

function timed([file, ...args]) {
  const begun = performance.now();
  spawnSync(file, args, { stdio: 'ignore' });
  return performance.now() - begun;
}

function ended(child, signal) {
  const gone = new Promise((end) => child.once('exit', end));
  child.kill(signal);
  return gone;
}

function seen(stream, pattern) {
  return new Promise((found) => {
    let text = '';
    stream.on('data', (part) => {
      text += part;
      if (pattern.test(text)) found();
    });
  });
}

function pss(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function has(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}
