// Raw requests over six connections, kept or a new one for each, without parsing: cheaper than what answers them.
// hammer.mjs PORT kept|fresh MILLISECONDS; the answers are counted by the pid that they come from.
import { connect } from 'node:net';

const [port, isKept, ms] = [Number(process.argv[2]), process.argv[3] === 'kept', Number(process.argv[4])];
const request = `GET / HTTP/1.1\r\nHost: x\r\n${isKept ? '' : 'Connection: close\r\n'}\r\n`;
const pids = new Map();
let [failures, isOver] = [0, false];

function dial() {
  let isAnswered = false;
  const socket = connect(port, '127.0.0.1', () => socket.write(request));
  socket.setNoDelay(true);
  socket.on('data', (bytes) => {
    if (bytes.latin1Slice(0, 12) !== 'HTTP/1.1 200') return;
    count(bytes);
    isAnswered = true;
    if (isKept && !isOver) socket.write(request);
    else if (isKept) socket.end();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (!isAnswered) failures++;
    if (!isOver) dial();
  });
}

/** The body is the pid, in the last bytes of an answer. */
function count(bytes) {
  const from = bytes.lastIndexOf(10, bytes.length - 2) + 1;
  const pid = bytes.latin1Slice(from, bytes.length - 1);
  pids.set(pid, (pids.get(pid) ?? 0) + 1);
}

for (let n = 0; n < 6; n++) dial();
setTimeout(() => (isOver = true), ms);
process.on('exit', () => console.log(JSON.stringify({ pids: Object.fromEntries(pids), failures })));
