import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { get, listening, portOf } from '../kit/client.ts';
import { Watched } from '../kit/shutdowns.ts';

test('readiness is off before ready(), on after it, and off from the beginning of the shutdown on; liveness stays', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  const server = await listening(createServer(shutdown.health));
  const port = portOf(server);
  expect(await get(port, '/readyz')).toMatchObject({ status: 503, body: '{"status":"starting","ready":false}' });
  shutdown.ready();
  expect(await get(port, '/readyz?verbose')).toMatchObject({ status: 200, body: '{"status":"ready","ready":true}' });
  shutdown.ready(false);
  expect((await get(port, '/readyz')).status).toBe(503);
  shutdown.ready();
  const release = shutdown.track();
  const report = shutdown.begin();
  const draining = await get(port, '/readyz');
  expect(draining).toMatchObject({ status: 503, body: '{"status":"draining","ready":false}' });
  expect(draining.headers['content-type']).toBe('application/json');
  shutdown.ready();
  expect((await get(port, '/readyz')).status).toBe(503);
  expect(await get(port, '/livez')).toMatchObject({ status: 200, body: '{"status":"draining","live":true}' });
  release();
  await report;
  server.close();
});

test('as a server of its own it answers everything', async () => {
  using watched = new Watched();
  const server = await listening(createServer(watched.shutdown.health));
  expect(await get(portOf(server), '/')).toMatchObject({ status: 404 });
  server.close();
});

test('called by a handler it says whether it answered', async () => {
  using watched = new Watched();
  const { health } = watched.shutdown;
  const server = await listening(
    createServer((request, response) => {
      if (!health(request, response)) response.end('the app');
    }),
  );
  expect(await get(portOf(server), '/livez')).toMatchObject({ body: '{"status":"starting","live":true}' });
  expect(await get(portOf(server), '/')).toMatchObject({ status: 200, body: 'the app' });
  server.close();
});
