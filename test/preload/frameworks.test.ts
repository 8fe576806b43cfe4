import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadNativeSockets } from '../../src/host/native-sockets.ts';
import { Folder, freePort } from '../kit/gsup.ts';
import { ask, tcpSpec } from '../kit/inherited.ts';
import { buildPreload, GET, nodesToTry, Service } from '../kit/preloaded.ts';

const built = new Folder();
const preload = buildPreload(built);

beforeAll(async () => void (await loadNativeSockets()));
afterAll(() => built[Symbol.dispose]());

/** Without a certificate: both ends are this test's. */
const TLS = "{ ciphers: 'AECDH-AES128-SHA:@SECLEVEL=0', maxVersion: 'TLSv1.2', ecdhCurve: 'P-256' }";

describe.each(nodesToTry())('%s', (file) => {
  test.each([
    ['node:http', "require('node:http').createServer((_, answer) => answer.end('hello'))"],
    ['node:net', "net.createServer((client) => client.end('HTTP/1.1 200 OK\\r\\n\\r\\nhello'))"],
    [
      'express',
      "require('node:http').createServer(require('express')().get('/', (_, answer) => answer.send('hello')))",
    ],
  ])('%s listens on the inherited socket', async (_, server) => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port)] });
    const waiting = ask({ port }, GET);
    expect(await service.do(`return listening(${server}, ${port})`)).toEqual({
      address: '127.0.0.1',
      family: 'IPv4',
      port,
    });
    expect(await waiting).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*hello/);
  });

  test('node:https and node:tls listen on the inherited sockets', async () => {
    const [https, tls] = [await freePort(), await freePort()];
    const specs = [tcpSpec(https), tcpSpec(tls, '127.0.0.1', { name: 'tls' })];
    await using service = new Service({ preload, file, specs });
    await service.do(`
      await listening(require('node:https').createServer(${TLS}, (_, answer) => answer.end('hello')), ${https});
      await listening(require('node:tls').createServer(${TLS}, (client) => client.end('hello')), ${tls});`);
    const said = await service.do(`
      const tls = require('node:tls');
      const ask = async (port, sent) => {
        const client = tls.connect({ port, ...${TLS}, rejectUnauthorized: false, checkServerIdentity() {} });
        client.write(sent);
        let said = '';
        for await (const chunk of client) said += chunk;
        return said;
      };
      return [await ask(${https}, ${JSON.stringify(GET)}), await ask(${tls}, '.')];`);
    expect(said).toEqual([expect.stringMatching(/^HTTP\/1\.1 200 OK[\s\S]*hello/), 'hello']);
  });

  test('node:http2 listens on the inherited socket', async () => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port)] });
    const said = await service.do(`
      const http2 = require('node:http2');
      await listening(http2.createServer((_, answer) => answer.end('hello')), { port: ${port}, host: '127.0.0.1' });
      const session = http2.connect('http://127.0.0.1:${port}');
      let said = '';
      for await (const chunk of session.request({ ':path': '/' })) said += chunk;
      session.destroy();
      return said;`);
    expect(said).toBe('hello');
  });

  test("express's own listen gets it", async () => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port, '::')] });
    await service.do(`
      const app = require('express')().get('/', (_, answer) => answer.send('hello'));
      await new Promise((done) => app.listen(${port}, done));`);
    expect(await ask({ port }, GET)).toContain('hello');
  });

  test.each(['127.0.0.1', '::'])('fastify gets it, bound to %s', async (host) => {
    const port = await freePort();
    for (const options of [`{ port: ${port} }`, `{ port: ${port}, host: '0.0.0.0' }`]) {
      await using service = new Service({ preload, file, specs: [tcpSpec(port, host)] });
      const said = await service.do(`
        const app = require('fastify')();
        app.get('/', async () => 'hello');
        const where = await app.listen(${options});
        kept.app = app;
        return where;`);
      expect(said).toContain(String(port));
      expect(await ask({ port }, GET)).toContain('hello');
      await service.do('await kept.app.close()');
    }
  });

  test('ws gets it, alone and on a server of HTTP', async () => {
    const upgrade =
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    const [alone, onHttp] = [await freePort(), await freePort()];
    await using service = new Service({
      preload,
      file,
      specs: [tcpSpec(alone), tcpSpec(onHttp, '127.0.0.1', { name: 'http' })],
    });
    await service.do(`
      const { WebSocketServer } = require('ws');
      const greet = (socket) => socket.close(1000, 'hello');
      const first = new WebSocketServer({ port: ${alone}, host: '127.0.0.1' }).on('connection', greet);
      await new Promise((done) => first.on('listening', done));
      const server = require('node:http').createServer();
      new WebSocketServer({ server }).on('connection', greet);
      await listening(server, ${onHttp});`);
    for (const port of [alone, onHttp]) {
      const said = await service.do(`
        const client = net.connect(${port}, '127.0.0.1');
        client.write(${JSON.stringify(upgrade)});
        let said = '';
        for await (const chunk of client) {
          said += chunk.toString('latin1');
          if (said.endsWith('hello')) break;
        }
        return said;`);
      expect(said).toMatch(/^HTTP\/1\.1 101 Switching Protocols[\s\S]*hello$/);
    }
  });
});
