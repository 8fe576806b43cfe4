// Bundles src/ into dist/: CommonJS files for the CLI, the JSON Schema, and the licences of what is in it.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
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
const common = { ...options, outdir: 'dist', outExtension: { '.js': '.cjs' }, define, metafile: true };
const main = await build({
  ...common,
  entryPoints: { cli: 'src/cli/entry.ts' },
  plugins: [inFilesOfTheirOwn],
  supported: { 'dynamic-import': false },
});
// Those have lazy parts of their own, in files beside them too.
const others = await build({
  ...common,
  entryPoints: Object.fromEntries(lazy),
  plugins: [inFilesOfTheirOwn],
  supported: { 'dynamic-import': false },
});

const { jsonSchema } = load('src/config/json-schema.ts');
writeFileSync('dist/supervisor.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`);

await build({ ...options, minify: false, format: 'esm', entryPoints: { index: 'src/index.ts' }, outdir: 'dist' });
const types = await compile(jsonSchema(), 'Config', { bannerComment: '', additionalProperties: false, format: false });
const typed =
  '/** Gives a configuration its types; returns it as it is. */\nexport declare function defineConfig(config: Config): Config;\n';
writeFileSync('dist/index.d.ts', types.replace(/SupervisorYaml/g, 'Config') + typed);

const packages = new Set(
  Object.keys({ ...main.metafile.inputs, ...others.metafile.inputs }).flatMap(
    (file) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [],
  ),
);
const licences = [...packages].sort().map((folder) => {
  const { name, version: its, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const files = ['LICENSE', 'license', 'LICENSE.md', 'LICENCE', 'LICENSE.txt', 'License', 'Readme.md', 'README.md'];
  return `${name} ${its} (${license})\n\n${files.map((file) => read(`${folder}/${file}`)).find(Boolean) ?? ''}`;
});
writeFileSync('dist/THIRD-PARTY-LICENSES', licences.join(`\n${'-'.repeat(80)}\n`));

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
