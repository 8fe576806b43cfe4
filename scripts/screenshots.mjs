// Takes the pictures of docs/http.md anew, after a build: node scripts/screenshots.mjs
import { createRequire } from 'node:module';
import { buildSync } from 'esbuild';

const { outputFiles } = buildSync({
  entryPoints: ['test/kit/screenshots.ts'],
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  write: false,
});
const module = { exports: {} };
new Function('module', 'exports', 'require', outputFiles[0].text)(
  module,
  module.exports,
  createRequire(import.meta.url),
);
if (!(await module.exports.takePictures('docs/images'))) process.exitCode = 1;
