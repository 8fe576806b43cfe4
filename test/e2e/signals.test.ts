import { expect, test } from 'vitest';
import { fixture, Gsup } from '../kit/gsup.ts';

test('HUP, QUIT, USR1, USR2 and WINCH are passed on to the leader, once each', async () => {
  await using gsup = new Gsup(['run', '--', 'sh', fixture('signals.sh')]);
  await gsup.said(/up/);
  for (const name of ['HUP', 'QUIT', 'USR1', 'USR2', 'WINCH'] as const) {
    gsup.kill(`SIG${name}`);
    await gsup.said(new RegExp(`^${name}$`, 'm'));
  }
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toBe('up\nHUP\nQUIT\nUSR1\nUSR2\nWINCH\nTERM\n');
});
