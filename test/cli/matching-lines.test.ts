import { expect, test } from 'vitest';
import type { EndOfPast, LogEntry } from '../../src/api/types.ts';
import { matchingLines } from '../../src/cli/matching-lines.ts';

const line = (text: string, instance: LogEntry['instance'] = 'api:0'): LogEntry => {
  return { instance, at: null, stream: 'stdout', line: text };
};

/** A daemon with these lines of the past, and those that come. */
function daemonWith(past: readonly LogEntry[], coming: readonly LogEntry[] = []) {
  const asked: string[] = [];
  async function* ask(query: Parameters<Parameters<typeof matchingLines>[0]>[0]): AsyncGenerator<LogEntry | EndOfPast> {
    asked.push(query.lines ?? 'all');
    const count = query.lines === undefined ? past.length : Number(query.lines);
    const instances = [...new Set(past.map(({ instance }) => instance))];
    const ofOne = (name: string) => past.filter(({ instance }) => instance === name);
    const wanted = new Set(count === 0 ? [] : instances.flatMap((name) => ofOne(name).slice(-count)));
    yield* past.filter((entry) => wanted.has(entry));
    if (query.marksEnd === 'true') yield { isEndOfPast: true };
    if (query.follow === 'true') yield* coming;
  }
  return { ask, asked };
}

async function textsOf(found: AsyncIterable<LogEntry>): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const { instance, line: text } of found) texts.push(`${instance} ${text}`);
  return texts;
}

const many = Array.from({ length: 5_000 }, (_, n) => line(n % 1_000 === 0 ? `hit ${n}` : `line ${n}`));

test('without an expression every line goes through, and the past is as long as it was asked for', async () => {
  const { ask, asked } = daemonWith(many);
  expect(await textsOf(matchingLines(ask, { lines: '1' }, undefined))).toEqual(['api:0 line 4999']);
  expect(asked).toEqual(['1']);
});

test('with an expression alone all of the past is looked at, then what comes', async () => {
  const { ask, asked } = daemonWith(many, [line('no'), line('hit')]);
  const found = await textsOf(matchingLines(ask, { follow: 'true' }, '^hit'));
  expect(found).toEqual([
    'api:0 hit 0',
    'api:0 hit 1000',
    'api:0 hit 2000',
    'api:0 hit 3000',
    'api:0 hit 4000',
    'api:0 hit',
  ]);
  expect(asked).toEqual(['all']);
});

test('a count is one of matching lines: more of the past is asked for until there are so many', async () => {
  const { ask, asked } = daemonWith(many, [line('no'), line('hit')]);
  expect(await textsOf(matchingLines(ask, { lines: '3', follow: 'true' }, '^hit'))).toEqual([
    'api:0 hit 2000',
    'api:0 hit 3000',
    'api:0 hit 4000',
    'api:0 hit',
  ]);
  expect(asked).toEqual(['1000', '8000']);
});

test('and one for each instance', async () => {
  const past = [
    line('hit 1', 'a:0'),
    line('hit 1', 'b:0'),
    line('hit 2', 'a:0'),
    line('hit 2', 'b:0'),
    line('no', 'a:0'),
  ];
  const { ask, asked } = daemonWith(past);
  expect(await textsOf(matchingLines(ask, { lines: '1' }, 'hit'))).toEqual(['a:0 hit 2', 'b:0 hit 2']);
  expect(asked).toEqual(['1000']);
});

test('a count of 0 shows nothing of the past', async () => {
  const { ask } = daemonWith(many, [line('hit'), line('no')]);
  expect(await textsOf(matchingLines(ask, { lines: '0', follow: 'true' }, 'hit'))).toEqual(['api:0 hit']);
});

test('what is not a regular expression is refused before anything is asked', async () => {
  const { ask, asked } = daemonWith(many);
  await expect(textsOf(matchingLines(ask, {}, '('))).rejects.toMatchObject({ exitStatus: 2 });
  expect(asked).toEqual([]);
});
