import { expect, test } from 'vitest';
import { withHandedIn } from '../../src/core/activation.ts';
import { parseAddress } from '../../src/core/address.ts';
import type { SocketAddress } from '../../src/core/service.ts';
import { tcpSpec } from '../kit/inherited.ts';
import { serviceSpec } from '../kit/spec.ts';

const at = (text: string): SocketAddress => {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.address;
};
const socket = (name: string, address: string, fd = 3) => ({ fd, name, address: at(address) });
const spec = (...services: ReturnType<typeof serviceSpec>[]) => ({ services, shutdownTimeoutMs: null });
const api = serviceSpec({ name: 'api', sockets: [{ ...tcpSpec(3000), name: 'http' }] });
const web = serviceSpec({ name: 'web' });

test('a socket goes to the service with that address, whatever it is called', () => {
  const { spec: claimed, unclaimed } = withHandedIn(spec(web, api), [socket('web', '127.0.0.1:3000')]);
  expect(claimed.services).toEqual([web, api]);
  expect(unclaimed).toEqual([]);
});

test('one on every address takes the place of one on a single address of that port', () => {
  const { spec: claimed } = withHandedIn(spec(web, api), [socket('x', '3000')]);
  expect(claimed.services[1]?.sockets).toEqual([{ ...api.sockets[0], address: at('3000') }]);
});

test.each(['web', 'web.socket'])('else to the service called %s', (name) => {
  const { spec: claimed } = withHandedIn(spec(web, api), [socket(name, '/run/web.sock')]);
  expect(claimed.services[0]?.sockets).toEqual([
    { name: 'web', address: at('/run/web.sock'), backlog: 511, mode: null },
  ]);
});

test('else to the only one there is, under names that differ', () => {
  const { spec: claimed } = withHandedIn(spec(web), [socket('x', '4000'), socket('x', '4001', 4)]);
  expect(claimed.services[0]?.sockets.map(({ name }) => name)).toEqual(['x', '_____4001']);
});

test('else to nobody', () => {
  const lost = socket('x', '4000');
  expect(withHandedIn(spec(web, api), [lost])).toEqual({ spec: spec(web, api), unclaimed: [lost] });
});
