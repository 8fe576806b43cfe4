// Measures gsup beside its peers: `npm run build && npm run bench -- --help`. Starts what it measures and ends all of it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { createBench } from './kit/bench.mjs';
import { GROUPS, MAKERS, PROBES, SLOW } from './kit/catalog.mjs';
import { compare, comparisonText } from './kit/compare.mjs';
import { readOptions } from './kit/options.mjs';
import './kit/own-environment.mjs';
import { ROOT } from './kit/programs.mjs';
import { createScratch } from './kit/scratch.mjs';
import { picture } from './kit/svg.mjs';
import { markdown, tablesOf, writeMarkdown } from './kit/table.mjs';

/** What is left of the two minutes of `--quick` when a probe may still begin. */
const QUICK_MS = 90_000;

const options = readOptions(process.argv.slice(2), PROBES);
if (options.text !== undefined) leave(options.text, options.status);
if (!existsSync(join(ROOT, 'dist/cli.cjs'))) leave('gsup is not built: run "npm run build" first', 1);
// Before minutes are spent on what it is to be held against.
const baseline = options.compare === undefined ? null : readBaseline(options.compare);

const note = (text) => console.error(`  ${text}`);
const begun = performance.now();
const bench = createBench({
  scratch: createScratch(),
  isQuick: options.quick,
  rounds: options.rounds,
  note,
  makers: MAKERS,
  slow: SLOW,
});
const results = await measure();
const text = textOf(results);
console.log(text);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 1)}\n`);
if (options.markdown !== undefined) writeMarkdown(options.markdown, text);
if (options.svg !== undefined) writeFileSync(options.svg, picture(results.rows, results.machine.text));
process.exit(baseline === null ? 0 : compared());

async function measure() {
  const [loadBefore] = loadavg();
  const [rows, tables] = [[], []];
  for (const [at, probe] of options.chosen.entries()) {
    const place = `[${at + 1}/${options.chosen.length}]`;
    const elapsed = performance.now() - begun;
    if (options.quick && options.only === undefined && elapsed > QUICK_MS) {
      note(`${place} ${probe.name} is left out: ${seconds(elapsed)} are over, and --quick has two minutes`);
      continue;
    }
    console.error(`${place} ${probe.name}: ${probe.about} (${seconds(elapsed)} elapsed)`);
    for (const one of await probe.run(bench))
      (one.lines === undefined ? rows : tables).push({ probe: probe.name, group: probe.group, ...one });
  }
  console.error(`done in ${seconds(performance.now() - begun)}`);
  return { machine: machineOf(loadBefore), at: new Date().toISOString(), isQuick: options.quick, rows, tables };
}

function machineOf(loadBefore) {
  const [cores, kernel, node] = [cpus().length, release(), process.versions.node];
  const versions = Object.fromEntries(bench.versions);
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const load = `load ${loadBefore.toFixed(1)} before, ${loadavg()[0].toFixed(1)} after`;
  return {
    cores,
    kernel,
    node,
    versions,
    load,
    text: `Node ${node}, ${cores} cores, Linux ${kernel}, ${names.join(', ')}`,
  };
}

function textOf({ machine, at, rows, tables }) {
  const kind = options.quick ? '`--quick`: few rounds, small amounts' : 'medians';
  const head = `${machine.text}; ${machine.load}; ${at.slice(0, 10)}; ${kind} (min–max).`;
  const groups = Object.entries(GROUPS).map(([group, title]) => ({
    title: `### ${title}`,
    rows: rows.filter((row) => row.group === group),
  }));
  const own = tables.map(({ title, columns, lines }) => `${title}\n\n${markdown(['', ...columns], lines)}`);
  return [head, tablesOf(groups), ...own].filter((part) => part !== '').join('\n\n');
}

function compared() {
  const found = compare(baseline, results);
  console.error(`\nbeside ${options.compare} of ${baseline.at.slice(0, 10)}${warning()}:\n${comparisonText(found)}`);
  return found.worse.length > 0 ? 1 : 0;
}

function warning() {
  return baseline.isQuick === results.isQuick ? '' : ' (one of the two is --quick: other amounts, other figures)';
}

function readBaseline(file) {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8'));
    if (!Array.isArray(read.rows)) throw new Error('it has no rows; --json makes such a file');
    return read;
  } catch (error) {
    return leave(`can not compare with ${file}: ${error.message}`, 2);
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(0)} s`;
}

function leave(said, status) {
  (status === 0 ? console.log : console.error)(said);
  process.exit(status);
}
