import { expect, test } from 'vitest';
import type { SocketAddress } from '../../src/core/service.ts';
import { movedPorts, movedUrl, spareIndex, spareSpec } from '../../src/core/spare.ts';
import { serviceSpec } from '../kit/spec.ts';

const tcp = (host: string, port: number): SocketAddress => ({ kind: 'tcp', host, port });

test.each([
  ['the same host', '127.0.0.1', 'http://127.0.0.1:3000/readyz?a=1', 'http://127.0.0.1:41000/readyz?a=1'],
  ['localhost for 127.0.0.1', '127.0.0.1', 'http://localhost:3000/', 'http://127.0.0.1:41000/'],
  ['any host of a socket on every address', '::', 'http://192.0.2.7:3000/x', 'http://127.0.0.1:41000/x'],
  ['https', '::', 'https://localhost:3000/', 'https://127.0.0.1:41000/'],
  ['IPv6', '::1', 'http://[::1]:3000/', 'http://127.0.0.1:41000/'],
  ['another port is not moved', '127.0.0.1', 'http://127.0.0.1:3001/', null],
  ['another host is not moved', '127.0.0.1', 'http://192.0.2.7:3000/', null],
])('a URL is asked at the spare: %s', (_, host, url, expected) => {
  expect(movedUrl(url, [{ from: tcp(host, 3000), to: tcp('127.0.0.1', 41_000) }])).toBe(expected);
});

test.each([
  ['from the value that the instances have', { PORT: '3001' }, { PORT: '3000' }, 3000],
  ['any variable that ends in PORT', { HTTP_PORT: '3001' }, { HTTP_PORT: '4000' }, 4000],
  ['one they do not have moves the port of the readiness check', { PORT: '3001' }, {}, 8080],
  ['another variable moves nothing', { LEVEL: '3001' }, { LEVEL: '3000' }, null],
  ['no port moves nothing', { PORT: 'auto' }, { PORT: '3000' }, null],
  ['the same port moves nothing', { PORT: '3000' }, { PORT: '3000' }, null],
])('--env moves a port: %s', (_, given, present, from) => {
  const { ready } = serviceSpec({ ready: { check: { kind: 'http', url: 'http://127.0.0.1:8080/' } } });
  const expected = from === null ? [] : [{ from: tcp('127.0.0.1', from), to: tcp('127.0.0.1', 3001) }];
  expect(movedPorts(given as Record<string, string>, present, ready)).toEqual(expected);
});

test('the spare is one more instance that nothing but the drill acts on, at its own addresses', () => {
  const spec = serviceSpec({
    instances: 3,
    env: { A: '1', B: '1' },
    dependsOn: { db: 'ready' },
    critical: true,
    memoryLimitBytes: 1,
    schedule: '* * * * *',
    sockets: [{ name: 'http', address: tcp('127.0.0.1', 3000), backlog: 5, mode: null }],
    ready: { check: { kind: 'tcp', host: '127.0.0.1', port: 3000 } },
    live: { check: { kind: 'tcp', host: '127.0.0.1', port: 3000 } },
    stop: { graceMs: 7 },
  });
  const [socket] = spec.sockets;
  const moved = socket === undefined ? [] : [{ from: socket.address, to: tcp('127.0.0.1', 41_000) }];
  const spare = spareSpec(spec, { B: '2' }, moved);
  expect(spareIndex(spec)).toBe(3);
  expect(spare).toMatchObject({ instances: 4, env: { A: '1', B: '2' }, dependsOn: {}, critical: false, live: null });
  expect(spare).toMatchObject({ memoryLimitBytes: null, schedule: null, watch: null, restart: { policy: 'never' } });
  expect(spare.sockets).toEqual([{ name: 'http', address: tcp('127.0.0.1', 41_000), backlog: 5, mode: null }]);
  expect(spare.ready?.check).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 41_000 });
  expect(spare.stop).toEqual(spec.stop);
});
