// Loads a TypeScript module of src/ on any Node: bundled on the fly, nothing written.
import { createRequire } from 'node:module';
import { buildSync } from 'esbuild';

export function load(file) {
  const { outputFiles } = buildSync({
    entryPoints: [file],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.19',
    write: false,
    logLevel: 'warning',
  });
  const module = { exports: {} };
  new Function('module', 'exports', 'require', outputFiles[0].text)(
    module,
    module.exports,
    createRequire(import.meta.url),
  );
  return module.exports;
}
