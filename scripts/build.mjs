// Bundles src/ into dist/: CommonJS files for the CLI, the JSON Schema, and the licences of what is in it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { cwd } from 'node:process';
import { build } from 'esbuild';
import { compile } from 'json-schema-to-typescript';
import { load } from './load.mjs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
rmSync('dist', { recursive: true, force: true });
// CommonJS: Node 20 loads it 10 ms faster than the same code as ES modules (docs/BENCHMARKS.md).
const options = {
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  legalComments: 'none',
  logLevel: 'warning',
  // Has a binary part: an optional dependency of its own.
  external: ['koffi'],
};
const define = { GSUP_VERSION: JSON.stringify(version) };
// What `gsup run` of one program never needs stands in files of its own: V8 pays time and memory for every byte it parses.
const lazy = new Map();
const inFilesOfTheirOwn = {
  name: 'in-files-of-their-own',
  setup({ onResolve }) {
    onResolve({ filter: /^\..*\.ts$/ }, ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined;
      const name = basename(path, '.ts');
      lazy.set(name, join(resolveDir, path));
      return { path: `./${name}.cjs`, external: true };
    });
  },
};
// Every command needs it: one file for all of them.
const shared = {
  name: 'shared',
  setup({ onResolve }) {
    onResolve({ filter: /^commander$/ }, () => ({ path: './commander.cjs', external: true }));
  },
};
// pino's transports run in worker threads, from files that a bundle does not have; loading what they need costs 2 ms and 1 MB.
const withoutTransports = {
  name: 'without-transports',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^thread-stream$/ }, () => ({ path: 'thread-stream', namespace: 'none' }));
    onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: 'module.exports = class {}' }));
  },
};
// Commander starts subcommands that are programs of their own; we have none, and who only asks the daemon spawns nothing.
const withoutPrograms = {
  name: 'without-programs',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?child_process$/ }, () => ({ path: 'child_process', namespace: 'none' }));
    onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: 'module.exports = {}' }));
  },
};
const plugins = [inFilesOfTheirOwn, shared, withoutTransports];
const common = { ...options, outdir: 'dist', outExtension: { '.js': '.cjs' }, define, metafile: true };
const main = await build({
  ...common,
  entryPoints: { cli: 'src/cli/entry.ts' },
  plugins,
  supported: { 'dynamic-import': false },
});
const { metafile: commander } = await build({
  ...common,
  entryPoints: { commander: 'commander' },
  plugins: [withoutPrograms],
});

// Those have lazy parts of their own, in files beside them too.
const inputs = { ...main.metafile.inputs, ...commander.inputs };
for (let fresh = [...lazy]; fresh.length > 0; ) {
  const known = new Set(lazy.keys());
  const { metafile } = await build({
    ...common,
    entryPoints: Object.fromEntries(fresh),
    plugins,
    supported: { 'dynamic-import': false },
  });
  Object.assign(inputs, metafile.inputs);
  fresh = [...lazy].filter(([name]) => !known.has(name));
}

// Runs in the processes of others, in front of their scripts, on whatever Node they have.
await build({
  ...options,
  target: 'node16',
  entryPoints: { listen: 'src/preload/listen.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
});

// The page, for browsers of the last years; its files are read when one asks for them.
const page = await build({
  ...options,
  platform: 'browser',
  target: 'es2022',
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  entryPoints: { page: 'src/page/main.tsx', 'page-style': 'src/page/page.css' },
  entryNames: '[name]',
  outdir: 'dist/page',
});
Object.assign(inputs, page.metafile.inputs);
renameSync('dist/page/page-style.css', 'dist/page/page.css');
for (const file of ['index.html', 'icon.svg']) copyFileSync(`src/page/${file}`, `dist/page/${file}`);

const { jsonSchema } = load('src/config/json-schema.ts');
writeFileSync('dist/supervisor.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`);

await build({ ...options, minify: false, format: 'esm', entryPoints: { index: 'src/index.ts' }, outdir: 'dist' });
const types = await compile(jsonSchema(), 'Config', { bannerComment: '', additionalProperties: false, format: false });
const typed =
  '/** Gives a configuration its types; returns it as it is. */\nexport declare function defineConfig(config: Config): Config;\n';
writeFileSync('dist/index.d.ts', types.replace(/SupervisorYaml/g, 'Config') + typed);

// The library inside apps, for both module systems; small, for V8 parses it at every start of an app.
const app = { ...options, entryPoints: { app: 'src/app/index.ts' }, outdir: 'dist' };
await build({ ...app, format: 'esm' });
await build({ ...app, outExtension: { '.js': '.cjs' } });
const declarations = appDeclarations();
for (const file of ['dist/app.d.ts', 'dist/app.d.cts']) writeFileSync(file, declarations);

const packages = new Set(Object.keys(inputs).flatMap((file) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []));
const licences = [...packages].sort().map((folder) => {
  const { name, version: its, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const files = ['LICENSE', 'license', 'LICENSE.md', 'LICENCE', 'LICENSE.txt', 'License', 'Readme.md', 'README.md'];
  return `${name} ${its} (${license})\n\n${files.map((file) => read(`${folder}/${file}`)).find(Boolean) ?? ''}`;
});
writeFileSync('dist/THIRD-PARTY-LICENSES', licences.join(`\n${'-'.repeat(80)}\n`));

/** One file of types for `gsup/app`: what tsc says of its public modules, one after the other. */
function appDeclarations() {
  const folder = mkdtempSync(join(tmpdir(), 'gsup-types-'));
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    outDir: '.',
    rootDir: `${cwd()}/src`,
    typeRoots: [`${cwd()}/node_modules/@types`],
  };
  const project = {
    extends: `${cwd()}/tsconfig.json`,
    compilerOptions,
    files: [`${cwd()}/src/app/index.ts`],
    include: [],
  };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(project));
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], { stdio: 'inherit' });
  const modules = ['api', 'shutting-down-error', 'shutdown', 'suggested-grace'];
  const texts = modules.map((name) =>
    readFileSync(`${folder}/app/${name}.d.ts`, 'utf8')
      .replace(/^import [^;]*? from '\.[^;]*;\n/gm, '')
      .replace(/^export \{\};\n/gm, ''),
  );
  rmSync(folder, { recursive: true });
  return texts.join('\n');
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
