import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withListenPreload } from '../../src/host/listen-preload.ts';
import { loadNativeSockets } from '../../src/host/native-sockets.ts';
import { Sockets } from '../../src/host/sockets.ts';
import { Folder, freePort } from '../kit/gsup.ts';
import { ask, nodeHeir, tcpSpec, unixSpec } from '../kit/inherited.ts';
import { buildPreload, GET, nodesToTry, Service } from '../kit/preloaded.ts';

const answer = "(client) => client.end('hello')";
const built = new Folder();
const preload = buildPreload(built);

beforeAll(async () => void (await loadNativeSockets()));
afterAll(() => built[Symbol.dispose]());

describe.each(nodesToTry())('%s', (file) => {
  test.each([
    ['PORT', '127.0.0.1', true],
    ['"PORT"', '127.0.0.1', true],
    ["PORT, '127.0.0.1'", '127.0.0.1', true],
    ["PORT, '127.0.0.1', 5", '127.0.0.1', true],
    ["PORT, 'localhost'", '127.0.0.1', true],
    ["PORT, '::'", '127.0.0.1', true],
    ["PORT, '0.0.0.0'", '127.0.0.1', true],
    ['PORT, null', '127.0.0.1', true],
    ['PORT, undefined, 7', '127.0.0.1', true],
    ['{ port: PORT }', '127.0.0.1', true],
    ['{ port: "PORT", host: "127.0.0.1", backlog: 5, exclusive: true }', '127.0.0.1', true],
    ['{ port: PORT, signal: new AbortController().signal }', '127.0.0.1', true],
    ["PORT, '127.0.0.2'", '127.0.0.1', false],
    ["PORT, '127.0.0.1'", '0.0.0.0', true],
    ["PORT, '127.0.0.2'", '0.0.0.0', true],
    ["PORT, '127.0.0.1'", '::', true],
    ["{ port: 0, host: '127.0.0.1' }", '127.0.0.1', false],
    ["0, '127.0.0.1'", '127.0.0.1', false],
    ['', '127.0.0.1', false],
    ['{ port: undefined }', '127.0.0.1', false],
  ])('listen(%s) with %s inherited: %s', async (args, host, isInherited) => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port, host)] });
    const mine = service.sockets.names('web')['web'];
    await service.do(`kept.server = net.createServer(${answer})`);
    const its = args.replace('PORT', String(port));
    expect(await service.do(`return listening(kept.server${its === '' ? '' : `, ${its}`})`)).toMatchObject({
      port: isInherited ? port : expect.any(Number),
    });
    expect(
      await service.do(`
      const { readlinkSync } = require('node:fs');
      return readlinkSync('/proc/self/fd/' + kept.server._handle.fd) === '${mine}'`),
    ).toBe(isInherited);
  });

  test.each(['PATH', '{ path: PATH }', '{ path: PATH, backlog: 5 }', 'PATH, 5', "'./web.sock'"])(
    'listen(%s) gets an inherited Unix socket, and address() is its path',
    async (args) => {
      using folder = new Folder();
      const path = join(folder.path, 'web.sock');
      await using service = new Service({ preload, file, specs: [unixSpec(path)] });
      await service.do(`process.chdir(${JSON.stringify(folder.path)})`);
      const its = args.replace('PATH', JSON.stringify(path));
      await service.do(`kept.server = net.createServer(${answer})`);
      expect(await service.do(`return listening(kept.server, ${its})`)).toBe(path);
      expect(await ask({ path })).toBe('hello');
      await service.do('return new Promise((done) => kept.server.close(() => done()))');
      expect(existsSync(path)).toBe(true);
    },
  );

  test('the very address is taken first, each socket once, and the next one fails as it does natively', async () => {
    const port = await freePort();
    const specs = [tcpSpec(port, '127.0.0.2', { name: 'two' }), tcpSpec(port, '127.0.0.1', { name: 'one' })];
    await using service = new Service({ preload, file, specs });
    const listen = (args: string) => service.do(`return listening(net.createServer(), ${args})`);
    expect(await listen(`${port}, 'localhost'`)).toMatchObject({ address: '127.0.0.1' });
    expect(await listen(`${port}, '127.0.0.2'`)).toMatchObject({ address: '127.0.0.2' });
    expect(await listen(`${port}, '127.0.0.1'`)).toBe('EADDRINUSE');
    expect(await listen(`${port}`)).toBe('EADDRINUSE');
    expect(
      await service.do(`
      const server = net.createServer().listen(0);
      try { server.listen(${port}); } catch ({ code }) { return code; }`),
    ).toBe('ERR_SERVER_ALREADY_LISTEN');
  });

  test('an aborted signal and a closed server leave the socket to others', async () => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port)] });
    await service.do(`
      const controller = new AbortController();
      const server = net.createServer(${answer});
      await listening(server, { port: ${port}, signal: controller.signal });
      const closed = new Promise((done) => server.on('close', done));
      controller.abort();
      await closed;`);
    const waiting = ask({ port });
    const specs = [tcpSpec(port)];
    await using next = nodeHeir(preload, specs, { file, fds: service.fds });
    await next.do(`return listening(net.createServer(${answer}), ${port})`);
    expect(await waiting).toBe('hello');
  });

  test('the backlog of the service holds where the script names none', async () => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port, '127.0.0.1', { backlog: 33 })] });
    const backlog = `
      kept.server = net.createServer();
      const listen = kept.server.constructor.prototype.listen;
      const { TCP } = process.binding('tcp_wrap');
      const native = TCP.prototype.listen;
      TCP.prototype.listen = function (backlog) { kept.backlog = backlog; return native.call(this, backlog); };`;
    await service.do(`${backlog} await listening(kept.server, ${port});`);
    expect(await service.do('return kept.backlog')).toBe(33);
    await service.heir.end();
    await using next = nodeHeir(preload, [tcpSpec(port)], { file, fds: service.fds });
    await next.do(`${backlog} await listening(kept.server, { port: ${port}, backlog: 44 });`);
    expect(await next.do('return kept.backlog')).toBe(44);
  });

  test.each([
    ['no options', undefined],
    ['empty options', ''],
    ['options', '--no-warnings --title="a b"'],
  ])('the environment is as it was, with %s', async (_, options) => {
    const env = options === undefined ? {} : { NODE_OPTIONS: options };
    await using service = new Service({ preload, file, specs: [tcpSpec(await freePort())], env });
    const its = await service.do(`
      const { GSUP_SOCKETS, NODE_OPTIONS, LISTEN_FDS, LISTEN_PID } = process.env;
      return { GSUP_SOCKETS, NODE_OPTIONS, LISTEN_FDS, isPid: LISTEN_PID === String(process.pid) };`);
    expect(its).toEqual({ ...env, LISTEN_FDS: '1', isPid: true });
  });

  test('listen looks as it did', async () => {
    const look = `
      const { value, ...rest } = Object.getOwnPropertyDescriptor(net.Server.prototype, 'listen');
      return { ...rest, name: value.name, length: value.length };`;
    await using service = new Service({ preload, file, specs: [tcpSpec(await freePort())] });
    await using plain = nodeHeir(preload, [], { file });
    expect(await service.do(look)).toEqual(await plain.do(look));
  });

  test('children and threads get nothing of it', async () => {
    const port = await freePort();
    await using service = new Service({ preload, file, specs: [tcpSpec(port)] });
    const own = service.sockets.names('web')['web'];
    // The file that a thread or a child runs.
    const look = `
      const { readdirSync, readlinkSync } = require('node:fs');
      const names = readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd); } catch {} });
      const { GSUP_SOCKETS, NODE_OPTIONS } = process.env;
      return [names.includes('${own}'), GSUP_SOCKETS, NODE_OPTIONS];`;
    expect(await service.do(look)).toEqual([true, null, null]);
    const child = await service.do(`
      const { execFileSync } = require('node:child_process');
      return execFileSync(process.execPath, ['-p', ${JSON.stringify(`JSON.stringify((() => {${look}})())`)}], { encoding: 'utf8' });`);
    expect(JSON.parse(String(child))).toEqual([false, null, null]);
    const listening =
      "require('node:net').createServer().on('error', ({ code }) => TELL(code)).listen(PORT, () => TELL('listens'))";
    const thread = listening
      .replaceAll('TELL', "require('node:worker_threads').parentPort.postMessage")
      .replace('PORT', `${port}, '127.0.0.1'`);
    expect(
      await service.do(`
      const { Worker } = require('node:worker_threads');
      const env = { ...process.env, GSUP_SOCKETS: '[{"fd":3,"host":"127.0.0.1","port":${port}}]', NODE_OPTIONS: '--require=${preload}' };
      const worker = new Worker(${JSON.stringify(thread)}, { eval: true, env });
      return new Promise((done) => worker.on('message', done));`),
    ).toBe('EADDRINUSE');
  });

  test('the workers of a cluster share it by way of their primary', async () => {
    using folder = new Folder();
    const port = await freePort();
    const script = folder.write(
      'worker.cjs',
      `require('node:net').createServer((client) => client.end('worker ' + process.pid)).listen(${port}, '127.0.0.1');`,
    );
    await using service = new Service({ preload, file, specs: [tcpSpec(port)] });
    const pids = await service.do(`
      const cluster = require('node:cluster');
      cluster.setupPrimary({ exec: ${JSON.stringify(script)} });
      const workers = [cluster.fork(), cluster.fork()];
      kept.workers = workers;
      await Promise.all(workers.map((one) => new Promise((done) => one.on('listening', done))));
      return workers.map((one) => one.process.pid);`);
    const answers = [await ask({ port }), await ask({ port }), await ask({ port }), await ask({ port })];
    expect([...new Set(answers)].sort()).toEqual((pids as number[]).map((pid) => `worker ${pid}`).sort());
    await service.do('for (const one of kept.workers) one.process.kill("SIGKILL")');
  });

  test('a module of ES and a preload in an odd folder work', async () => {
    using folder = new Folder();
    const port = await freePort();
    const specs = [tcpSpec(port)];
    using sockets = new Sockets();
    const fds = sockets.open('web', specs);
    const odd = join(folder.path, 'a "b" \\ c');
    mkdirSync(odd);
    copyFileSync(preload, join(odd, 'listen.cjs'));
    const script = folder.write(
      'app.mjs',
      `import { createServer } from 'node:http';
       createServer((_, answer) => answer.end('hello')).listen(${port}, () => console.log(process.env.NODE_OPTIONS));`,
    );
    const env = { NODE_OPTIONS: '--no-warnings' };
    await using heir = nodeHeir(join(odd, 'listen.cjs'), specs, { file, fds, args: [script], env });
    expect(await heir.line()).toBe('--no-warnings');
    expect(await ask({ port }, GET)).toContain('hello');
  });
});

test('the variables say where each descriptor listens', () => {
  const specs = [tcpSpec(3000, '::'), unixSpec('/run/web.sock', { backlog: 5 })];
  expect(withListenPreload({ A: '1', NODE_OPTIONS: '--no-warnings' }, '/gsup/listen.cjs', specs)).toEqual({
    A: '1',
    NODE_OPTIONS: '--require=/gsup/listen.cjs --no-warnings',
    GSUP_SOCKETS: '[{"fd":3,"host":"::","port":3000,"backlog":511},{"fd":4,"path":"/run/web.sock","backlog":5}]',
  });
});
