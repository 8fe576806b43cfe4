// Requests that are lost when SIGTERM comes between those of busy clients.
import { openIdle } from '../app/clients.mjs';
import { emptyFor, gather, overOwn, progress, shown } from '../app/figures.mjs';
import { contestants } from '../app/libraries.mjs';
import { started } from '../app/servers.mjs';
import { sum } from '../kit/statistics.mjs';
import { later, within } from '../kit/waits.mjs';

const RACERS = 24;

export const appRace = {
  name: 'app-race',
  group: 'app',
  about: 'gsup/app beside five libraries: requests lost by busy clients at SIGTERM',
  isNamedOnly: true,
  run: races,
};

/** Clients that ask again after 0 to 4 ms, while SIGTERM comes. A request is lost when its connection ends without an answer. */
async function races(bench) {
  const { libraries } = contestants(bench);
  const rounds = bench.rounds(8, 3);
  const found = emptyFor(libraries, ['lost', 'answered', 'after', 'exitMs']);
  for (let round = 0; round < rounds; round++)
    for (const library of libraries) gather(found[library.name], await raceOnce(bench, library));
  progress('race', found, 'exitMs');
  return [
    {
      title: `race: ${RACERS} clients ask on kept connections while SIGTERM comes, ${rounds} times`,
      columns: ['requests lost', 'answered after SIGTERM', 'answered in all', 'process ended, ms', 'gsup : it'],
      lines: libraries.map(({ name }) => {
        const { lost, answered, after, exitMs } = found[name];
        return [name, sum(lost), sum(after), sum(answered), shown(exitMs, 0), overOwn(found, name, 'exitMs')];
      }),
      raw: found,
    },
  ];
}

async function raceOnce(bench, library) {
  const server = await started(bench, library);
  const clients = await openIdle(server.port, RACERS);
  for (const client of clients) {
    client.answered = ({ head }) => {
      if (!/^connection: close$/im.test(head)) setTimeout(() => client.ask('/'), Math.random() * 4);
    };
    client.ask('/');
  }
  await later(150 + Math.random() * 50);
  const at = server.signal();
  const { endedAt } = await server.end();
  await within(Promise.all(clients.map(({ closed }) => closed)), `${library.name}: the clients are closed`);
  const answers = clients.flatMap((client) => client.answers);
  if (answers.some(({ body }) => body !== 'ok\n')) throw new Error(`${library.name}: a wrong answer`);
  const lost = sum(clients.map(({ asked, answers: own }) => asked - own.length));
  const after = answers.filter((answer) => answer.at > at).length;
  return { lost, answered: answers.length, after, exitMs: endedAt - at };
}
