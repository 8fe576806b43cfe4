import { expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../src/core/address.ts';

const tcp = (host: string, port: number) => ({ ok: true, address: { kind: 'tcp', host, port } });
const unix = (path: string) => ({ ok: true, address: { kind: 'unix', path } });

test.each([
  [3000, tcp('::', 3000)],
  ['3000', tcp('::', 3000)],
  [' 3000 ', tcp('::', 3000)],
  [':3000', tcp('::', 3000)],
  ['*:3000', tcp('::', 3000)],
  ['[::]:3000', tcp('::', 3000)],
  ['0.0.0.0:1', tcp('0.0.0.0', 1)],
  ['127.0.0.1:65535', tcp('127.0.0.1', 65_535)],
  ['localhost:3000', tcp('127.0.0.1', 3000)],
  ['LOCALHOST:3000', tcp('127.0.0.1', 3000)],
  ['[::1]:3000', tcp('::1', 3000)],
  ['[0:0:0:0:0:0:0:1]:3000', tcp('::1', 3000)],
  ['[2001:DB8::0042]:80', tcp('2001:db8::42', 80)],
  ['/run/x.sock', unix('/run/x.sock')],
  ['unix:/run/x.sock', unix('/run/x.sock')],
  ['unix:///run/x.sock', unix('/run/x.sock')],
  ['unix:rel.sock', unix('rel.sock')],
  ['./x.sock', unix('./x.sock')],
  ['../x.sock', unix('../x.sock')],
  ['/run/odd:3000', unix('/run/odd:3000')],
])('%s is an address', (text, parsed) => {
  expect(parseAddress(text)).toEqual(parsed);
});

test.each([
  ['', 'is empty'],
  [0, 'has no port from 1 to 65535: "0"'],
  [-1, 'has no port: "-1"'],
  [3000.5, 'has no port: "3000.5"'],
  [65_536, 'has no port from 1 to 65535: "65536"'],
  ['127.0.0.1:0', 'has no port from 1 to 65535: "127.0.0.1:0"'],
  ['127.0.0.1:http', 'has no port from 1 to 65535: "127.0.0.1:http"'],
  ['127.0.0.1:', 'has no port from 1 to 65535: "127.0.0.1:"'],
  ['127.0.0.1', 'has no port: "127.0.0.1"'],
  ['[::1]', 'has no port: "[::1]"'],
  ['x.sock', 'has no port: "x.sock"'],
  ['example.com:80', 'has a host name: "example.com"; write an address, such as 127.0.0.1 or *'],
  ['256.0.0.1:80', 'has no valid IPv4 host: "256.0.0.1"'],
  ['1.2.3:80', 'has no valid IPv4 host: "1.2.3"'],
  ['1.2.3.4.:80', 'has no valid IPv4 host: "1.2.3.4."'],
  ['01.2.3.4:80', 'has no valid IPv4 host: "01.2.3.4"'],
  ['::1:3000', 'has an IPv6 host without brackets: "::1:3000"; write [::1]:3000'],
  ['[::g]:3000', 'has no valid IPv6 host: "[::g]"'],
  ['[fe80::1%eth0]:3000', 'has a zone, which can\'t be bound: "[fe80::1%eth0]:3000"'],
  ['unix:', 'has no path after "unix:"'],
  ['/run/', 'is a folder: "/run/"'],
])('%s is none, with its reason', (text, problem) => {
  expect(parseAddress(text)).toEqual({ ok: false, problem });
});

test.each(['[::]:3000', '127.0.0.1:3000', '[2001:db8::42]:80', '/run/x.sock', './x.sock', 'unix:x.sock', 'unix:.x'])(
  '%s is written as it is read',
  (text) => {
    const parsed = parseAddress(text);
    expect(parsed.ok && formatAddress(parsed.address)).toBe(text);
  },
);
