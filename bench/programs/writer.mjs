// Writes numbered lines of 100 bytes as fast as it can, and into a file when it began: writer.mjs LINES STAMP-FILE.
import { writeFileSync, writeSync } from 'node:fs';

const [lines, stamp] = [Number(process.argv[2]), process.argv[3]];
const block = Buffer.alloc(100 * 650, 'x');
for (let i = 0; i < 650; i++) {
  block.write('0000000000 ', i * 100);
  block[i * 100 + 99] = 10;
}
const digits = (at, number) => {
  for (let [i, n] = [at + 9, number]; n > 0; i--) {
    block[i] = 48 + (n % 10);
    n = Math.floor(n / 10);
  }
};
writeFileSync(stamp, String(Date.now()));
for (let n = 0; n < lines; ) {
  const count = Math.min(650, lines - n);
  for (let i = 0; i < count; i++) digits(i * 100, ++n);
  for (let sent = 0; sent < count * 100; ) {
    try {
      sent += writeSync(1, block, sent, count * 100 - sent);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}
setInterval(() => {}, 1e9);
