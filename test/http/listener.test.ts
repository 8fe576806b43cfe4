import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { HttpSpec } from '../../src/core/service.ts';
import { HttpListener } from '../../src/http/listener.ts';
import { freePort } from '../kit/gsup.ts';
import { ask, FakeSource } from '../kit/http.ts';
import { serviceSpec } from '../kit/spec.ts';

const source = () => new FakeSource(serviceSpec({ name: 'api' }));

function at(port: number, more: Partial<HttpSpec> = {}): HttpSpec {
  return { host: '127.0.0.1', port, token: null, hosts: [], ...more };
}

async function answers(port: number): Promise<boolean> {
  return ask(port, '/livez').then(
    () => true,
    () => false,
  );
}

test('where it listened stays when the new address can not be had; it moves there as soon as it can', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const its = source();
  const listener = new HttpListener({ source: its });
  await listener.apply(at(first));
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(second, '127.0.0.1', resolve));
  await expect(listener.applyPatiently(at(second))).resolves.toBe(
    `http: cannot listen on http://127.0.0.1:${second}: EADDRINUSE; it goes on at http://127.0.0.1:${first} meanwhile`,
  );
  expect(await answers(first)).toBe(true);
  await new Promise((resolve) => holder.close(resolve));
  await expect.poll(() => answers(second), { timeout: 10_000 }).toBe(true);
  expect(await answers(first)).toBe(false);
  await listener.close();
  expect(await answers(second)).toBe(false);
});

test('another address with the same port is no obstacle', async () => {
  const port = await freePort();
  const listener = new HttpListener({ source: source() });
  await listener.apply(at(port));
  await listener.apply(at(port, { host: '0.0.0.0', token: 'a-token-of-the-tests' }));
  expect(await answers(port)).toBe(true);
  expect(listener.address).toBe(`http://0.0.0.0:${port}`);
  await listener.close();
});

test('a token that is new holds at once, for connections that were open too', async () => {
  const port = await freePort();
  const listener = new HttpListener({ source: source() });
  await listener.apply(at(port));
  const streamed = ask(port, '/api/events');
  await ask(port, '/livez');
  await listener.apply(at(port, { token: 'a-token-of-the-tests' }));
  await expect(streamed).rejects.toThrow();
  expect((await ask(port, '/api/instances')).status).toBe(401);
  await listener.close();
});

test('what is wanted no longer is not tried again', async () => {
  const [taken, other] = [await freePort(), await freePort()];
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(taken, '127.0.0.1', resolve));
  const listener = new HttpListener({ source: source() });
  await listener.applyPatiently(at(taken));
  await listener.apply(at(other));
  await new Promise((resolve) => holder.close(resolve));
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  expect([await answers(taken), await answers(other)]).toEqual([false, true]);
  await listener.close();
});
