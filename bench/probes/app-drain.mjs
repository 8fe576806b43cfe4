// How each library drains: busy requests answered whole, idle connections closed, and when the process ends.
import { open, openIdle } from '../app/clients.mjs';
import { emptyFor, gather, overOwn, progress, shown } from '../app/figures.mjs';
import { contestants, WHOLE } from '../app/libraries.mjs';
import { started } from '../app/servers.mjs';
import { median, sum } from '../kit/statistics.mjs';
import { within } from '../kit/waits.mjs';

const IDLE = 200;
const BUSY = 20;
const STRANGE = 5;
/** From SIGTERM until the answers of the busy requests are given. */
const ANSWER_AFTER_MS = 300;
/** What takes longer waits for a timeout, and is seen once. */
const TIMEOUT_MS = 5000;

export const appDrain = {
  name: 'app-drain',
  group: 'app',
  about: 'gsup/app beside five libraries: answers and connections after SIGTERM',
  isNamedOnly: true,
  run: drains,
};

async function drains(bench) {
  const { libraries } = contestants(bench);
  const rounds = bench.rounds(4, 1);
  const tables = [];
  const variants = [
    {
      key: 'busy',
      path: '/busy',
      strange: 0,
      title: `${IDLE} idle connections, ${BUSY} busy ones, answered whole 300 ms after SIGTERM`,
    },
    {
      key: 'strange',
      path: '/busy',
      strange: STRANGE,
      title: `the same, and ${STRANGE} with half a head, ${STRANGE} never used`,
    },
    {
      key: 'stream',
      path: '/stream',
      strange: 0,
      title: `the same as the first, but half of each answer had been sent before`,
    },
  ];
  for (const variant of variants) {
    const found = emptyFor(libraries, [
      'whole',
      'failed',
      'told',
      'lastAnswerMs',
      'idleMs',
      'idleLastMs',
      'exitMs',
      'end',
    ]);
    for (let round = 0; round < rounds; round++) {
      for (const library of libraries) {
        const own = found[library.name];
        // A timeout takes as long each time.
        if (!(own.exitMs[0] > TIMEOUT_MS)) gather(own, await drainOnce(bench, library, variant));
      }
    }
    tables.push({
      title: `drain: ${variant.title}; times in ms after SIGTERM`,
      columns: [
        'whole',
        'failed',
        'told to close',
        'last answer',
        'idle closed, median',
        'idle closed, last',
        'process ended',
        'how',
        'gsup : it',
      ],
      lines: libraries.map(({ name }) => {
        const { whole, failed, told, lastAnswerMs, idleMs, idleLastMs, exitMs, end } = found[name];
        const times = [lastAnswerMs, idleMs, idleLastMs, exitMs].map((ms) => shown(ms, 0));
        const ratio = overOwn(found, name, 'exitMs');
        const counts = [whole, failed, told].map((each) => `${sum(each)}/${BUSY * each.length}`);
        return [name, ...counts, ...times, [...new Set(end)].join(', '), ratio];
      }),
      raw: found,
    });
    progress(`drain ${variant.key}`, found, 'exitMs');
  }
  return tables;
}

async function drainOnce(bench, library, { path, strange }) {
  const server = await started(bench, library);
  const idle = await openIdle(server.port, IDLE);
  const busy = await Promise.all(Array.from({ length: BUSY }, () => open(server.port)));
  const half = await Promise.all(Array.from({ length: strange }, () => open(server.port)));
  const unused = await Promise.all(Array.from({ length: strange }, () => open(server.port)));
  for (const client of busy) client.ask(path);
  for (const { socket } of half) socket.write('GET / HTTP/1.1\r\nHo');
  const opened = IDLE + BUSY + 2 * strange;
  await server.until(({ connections, waiting }) => connections === opened && waiting === BUSY);
  const all = [...idle, ...busy, ...half, ...unused];
  if (all.some(({ closedAt }) => closedAt !== null)) throw new Error(`${library.name}: closed before SIGTERM`);

  const at = server.signal();
  setTimeout(() => server.say('answer'), ANSWER_AFTER_MS - (performance.now() - at));
  const { end, endedAt } = await server.end();
  await within(
    Promise.all(all.map(({ closed }) => closed)),
    `${library.name}: the connections of an ended process are closed`,
  );
  if (idle.some(({ answers }) => answers.length !== 1))
    throw new Error(`${library.name}: an idle connection was not idle`);
  // Before they could be answered is not drained at all; the whole body is compared.
  const whole = busy.filter(
    ({ answers: [answer] }) => answer?.body === WHOLE && answer.head.startsWith('HTTP/1.1 200 '),
  );
  const closedMs = idle.map(({ closedAt }) => closedAt - at);
  return {
    whole: whole.length,
    failed: BUSY - whole.length,
    told: whole.filter(({ answers: [{ head }] }) => /^connection: close$/im.test(head)).length,
    ...(whole.length > 0 && { lastAnswerMs: Math.max(...whole.map(({ answers: [answer] }) => answer.at - at)) }),
    idleMs: median(closedMs),
    idleLastMs: Math.max(...closedMs),
    exitMs: endedAt - at,
    end,
  };
}
