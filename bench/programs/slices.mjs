// Raw requests over six kept connections, without parsing: cheaper than what answers them. For each line, a port and milliseconds.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
for await (const line of createInterface({ input: process.stdin })) {
  const [port, ms] = line.split(' ').map(Number);
  let [answers, failures, isOver] = [0, 0, false];
  const begun = performance.now();
  setTimeout(() => (isOver = true), ms);
  await Promise.all(
    Array.from(
      { length: 6 },
      () =>
        new Promise((closed) => {
          const socket = connect(port, '127.0.0.1', () => socket.write(request));
          socket.setNoDelay(true);
          socket.on('data', (bytes) => {
            if (bytes.latin1Slice(0, 12) !== 'HTTP/1.1 200' || bytes.latin1Slice(bytes.length - 4) !== '\nok\n')
              failures++;
            answers++;
            if (isOver) socket.end();
            else socket.write(request);
          });
          socket.on('error', () => failures++);
          socket.on('close', closed);
        }),
    ),
  );
  console.log(JSON.stringify({ answers, failures, ms: performance.now() - begun }));
}
