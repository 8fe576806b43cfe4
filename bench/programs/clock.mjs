// Writes into $CLOCK_FILE when it is up, when it hears its stop signal and when it ends, by the clock that all processes share.
import { appendFileSync } from 'node:fs';

const tell = (word, at) => appendFileSync(process.env.CLOCK_FILE, `${word} ${at}\n`);
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    tell('heard', process.hrtime.bigint());
    tell('ended', process.hrtime.bigint());
    process.exit(0);
  });
}
setInterval(() => {}, 1 << 30);
tell('up', process.hrtime.bigint());
