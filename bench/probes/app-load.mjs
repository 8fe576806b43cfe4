// How long each library takes to load.
import { spawnSync } from 'node:child_process';
import { emptyFor, gather, overOwn, progress, shown, turned } from '../app/figures.mjs';
import { contestants } from '../app/libraries.mjs';
import { STEP_CEILING_MS } from '../kit/waits.mjs';

export const appLoad = {
  name: 'app-load',
  group: 'app',
  about: 'gsup/app beside five libraries: time to load',
  isNamedOnly: true,
  run: isLoaded,
};

/** In a process that has node:http, as every app here has; and what a process takes that does nothing else. */
async function isLoaded(bench) {
  const made = contestants(bench);
  const rounds = bench.rounds(21, 7);
  const kinds = ['import', 'require'];
  const loaded = made.libraries.filter(({ module }) => module !== undefined);
  const found = emptyFor(
    loaded,
    kinds.flatMap((kind) => [kind, `${kind}Process`]),
  );
  const scripts = Object.fromEntries(kinds.map((kind) => [kind, loadScripts(made, kind, loaded)]));
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      const emptyMs = numberFrom(made.prefix, scripts[kind].empty);
      for (const { name } of turned(loaded, round)) {
        if (scripts[kind][name] === undefined) continue;
        const { timed, whole } = scripts[kind][name];
        gather(found[name], {
          [kind]: numberFrom(made.prefix, timed),
          [`${kind}Process`]: numberFrom(made.prefix, whole) - emptyMs,
        });
      }
    }
  }
  progress('load', found, 'import', 2);
  return [
    {
      title: `load, ms: in a process that has node:http; and processor time of a process that only loads it, minus an empty one's, ${rounds} rounds`,
      columns: ['import', 'gsup : it', 'require', 'gsup : it', 'processor time, import', 'processor time, require'],
      lines: loaded.map(({ name }) => {
        const inside = kinds.flatMap((kind) => [shown(found[name][kind], 2), overOwn(found, name, kind)]);
        return [name, ...inside, ...kinds.map((kind) => shown(found[name][`${kind}Process`], 1))];
      }),
      raw: found,
    },
  ];
}

/** Two for each library, and an empty one. One that can not be required has none. */
function loadScripts({ prefix, write }, kind, loaded) {
  const ending = kind === 'import' ? 'mjs' : 'cjs';
  const line = (module) => (kind === 'import' ? `await import('${module}');` : `require('${module}');`);
  const used = 'const { user, system } = process.cpuUsage();\nconsole.log((user + system) / 1000);';
  const scripts = { empty: write(`empty.${ending}`, used) };
  for (const [n, { name, module }] of loaded.entries()) {
    const text = [line('node:http'), 'const begun = performance.now();', line(module)];
    const timed = write(`timed-${n}.${ending}`, [...text, 'console.log(performance.now() - begun);'].join('\n'));
    const whole = write(`whole-${n}.${ending}`, `${line(module)}\n${used}`);
    const { status, stderr } = run(prefix, timed);
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

function numberFrom(prefix, script) {
  const { status, stdout, stderr } = run(prefix, script);
  if (status !== 0) throw new Error(`${script} exited with ${status}: ${stderr}`);
  return Number(stdout);
}

function run(prefix, script) {
  return spawnSync(process.execPath, [script], { cwd: prefix, encoding: 'utf8', timeout: STEP_CEILING_MS });
}
