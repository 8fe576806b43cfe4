// Compiles src/logs/stamper.wat into src/logs/stamper-module.ts; `--check` only tells whether that is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import loadWabt from 'wabt';

const source = 'src/logs/stamper.wat';
const target = 'src/logs/stamper-module.ts';
const { parseWat } = await loadWabt();
const { buffer } = parseWat(source, readFileSync(source, 'utf8'), { simd: true }).toBinary({});
const text = `/** Made of stamper.wat by \`npm run wasm\`. */
export const STAMPER =
  '${Buffer.from(buffer).toString('base64')}';
`;
if (!argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) throw new Error(`${target} is not made of ${source}: npm run wasm`);
