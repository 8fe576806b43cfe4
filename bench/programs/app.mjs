// An HTTP app as PM2's documentation has it: says by IPC when it is ready, ends well on both supervisors' signals. It answers with its pid,
// and writes into $APP_TIMES how long it took to be ready and to end.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const { PORT, LISTEN_FD, APP_TIMES } = process.env;
const tell = (word, ms) => APP_TIMES && appendFileSync(APP_TIMES, `${word} ${process.pid} ${ms}\n`);
let isEnding = false;
const server = createServer((_request, response) => {
  if (isEnding) response.setHeader('Connection', 'close');
  response.end(`${process.pid}\n`);
});
const where = LISTEN_FD === undefined ? { port: Number(PORT), host: '127.0.0.1' } : { fd: Number(LISTEN_FD) };
server.listen(where, () => {
  process.send?.('ready');
  // From the start of the process on.
  tell('ready', performance.now());
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    const heard = performance.now();
    isEnding = true;
    server.close(() => {
      tell('ended', performance.now() - heard);
      process.exit(0);
    });
    server.closeIdleConnections();
  });
}
