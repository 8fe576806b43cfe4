// Raw connections to a server: what each has asked, what was answered, and when it was closed.
import { once } from 'node:events';
import { connect } from 'node:net';
import { within } from '../kit/waits.mjs';

/** One raw connection, connected: what it has asked, what was answered, and when it was closed. */
export async function open(port) {
  const socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
  const client = { socket, asked: 0, answers: [], answered: () => {}, closedAt: null, closed: null, ask };
  client.closed = new Promise((resolve) => {
    const note = () => {
      client.closedAt ??= performance.now();
      resolve();
    };
    socket.on('error', note).on('end', note).on('close', note);
  });
  let bytes = '';
  socket.on('data', (text) => {
    bytes += text;
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = bytes.slice(0, end).replaceAll('\r', '');
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
    const body = bytes.slice(end + 4);
    if (body.length < length) return;
    bytes = '';
    const answer = { head, body, at: performance.now() };
    client.answers.push(answer);
    client.answered(answer);
  });
  function ask(path) {
    if (client.closedAt !== null) return;
    client.asked += 1;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await within(once(socket, 'connect'), 'a connection');
  return client;
}

/** Kept connections that have made a request each, fifty at a time. */
export async function openIdle(port, wanted) {
  const clients = [];
  while (clients.length < wanted) {
    const some = await Promise.all(Array.from({ length: Math.min(50, wanted - clients.length) }, () => open(port)));
    const answers = some.map((client) => new Promise((answered) => (client.answered = answered)));
    for (const client of some) client.ask('/');
    await within(Promise.all(answers), 'the answers of the idle connections');
    for (const client of some) client.answered = () => {};
    clients.push(...some);
  }
  return clients;
}
