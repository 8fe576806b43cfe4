import { expect, test } from 'vitest';
import { freePort, Gsup } from '../kit/gsup.ts';

test('the example file does what it says', async () => {
  const PORT = String(await freePort());
  await using gsup = new Gsup(['run', '-c', 'supervisor.example.yaml'], { env: { PORT } });
  await gsup.record('ready', 'pool', 2);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toContain('prepare:0 | prepared');
  expect(gsup.output.match(/^pool:\d {4}\| joined 3 workers$/gm)).toHaveLength(2);
  expect(gsup.output).toContain('api:0     | closed');
});
