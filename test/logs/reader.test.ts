import { appendFileSync, renameSync, rmSync, statSync, truncateSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_LOGS } from '../../src/core/service.ts';
import { LogFollower } from '../../src/logs/follower.ts';
import { LineFormatter, type LogFormat } from '../../src/logs/format.ts';
import { LogFile } from '../../src/logs/log-file.ts';
import { type LogLine, lastLines, parseLine, readLines } from '../../src/logs/reader.ts';
import { Folder } from '../kit/gsup.ts';

const AT = Date.parse('2026-11-21T04:41:00Z');
const MIB = 1024 * 1024;

function stamp(secondsLater: number): string {
  return `${new Date(AT + secondsLater * 1_000).toISOString().slice(0, 23)}000000Z`;
}

/** `3 stdout F text` → a line of a CRI log, 3 s after AT. */
function cri(...lines: readonly string[]): string {
  return lines.map((line) => `${line.replace(/^\d+/, (seconds) => stamp(Number(seconds)))}\n`).join('');
}

async function all(
  files: readonly string[],
  format: LogFormat,
  ...rest: [Parameters<typeof readLines>[2]?, Parameters<typeof readLines>[3]?]
): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of readLines(files, format, ...rest)) lines.push(line);
  return lines;
}

function texts(lines: readonly LogLine[]): readonly string[] {
  return lines.map(({ line, isPartial }) => (isPartial ? `${line}…` : line));
}

/** One line in the file, as it was read. */
function raw(line: string): LogLine {
  return parseLine(line, 'raw');
}

describe('reading all', () => {
  test('goes from the oldest file to the newest, gzipped or not, and passes over those that are gone', async () => {
    using folder = new Folder();
    const files = [
      folder.write('a.2.gz', gzipSync(cri('1 stdout F one'))),
      folder.write('a.1', cri('2 stderr F two')),
      join(folder.path, 'gone'),
      folder.write('a', cri('3 stdout F three')),
    ];
    expect(await all(files, 'cri')).toEqual([
      { at: AT + 1_000, stream: 'stdout', line: 'one', isPartial: false },
      { at: AT + 2_000, stream: 'stderr', line: 'two', isPartial: false },
      { at: AT + 3_000, stream: 'stdout', line: 'three', isPartial: false },
    ]);
    expect(await all([], 'cri')).toEqual([]);
  });

  test('finds a file that was gzipped since it was listed', async () => {
    using folder = new Folder();
    folder.write('a.1.gz', gzipSync('one\n'));
    expect(await all([join(folder.path, 'a.1')], 'raw')).toEqual([raw('one')]);
  });

  test('ends with what is damaged of a gzipped file and goes on with the next', async () => {
    using folder = new Folder();
    const whole = gzipSync('one\ntwo\n');
    const files = [folder.write('a.1.gz', whole.subarray(0, -6)), folder.write('a', 'three\n')];
    expect(texts(await all(files, 'raw')).at(-1)).toBe('three');
    expect(texts(await all([folder.write('b.gz', 'no gzip')], 'raw'))).toEqual([]);
  });

  test('gives what is no line of the format as it is, and a torn end too', async () => {
    using folder = new Folder();
    const text = `${cri('1 stdout F one')}garbage\n\n${cri('2 stdout F two').slice(0, 20)}`;
    expect(await all([folder.write('a', text)], 'cri')).toMatchObject([
      { line: 'one' },
      raw('garbage'),
      raw(''),
      raw('2026-11-21T04:41:02.'),
    ]);
    expect(await all([folder.write('b', 'one\ntwo')], 'raw')).toEqual([raw('one'), raw('two')]);
  });

  test('joins the pieces of a line, stream by stream and across files', async () => {
    using folder = new Folder();
    const files = [
      folder.write('a.1', cri('1 stdout P long ', '2 stderr P loud ', '3 stderr F noise', '4 stdout P and ')),
      folder.write('a', cri('5 stderr F short', '6 stdout F longer', '7 stdout P endless')),
    ];
    const lines = await all(files, 'cri');
    expect(texts(lines)).toEqual(['loud noise', 'short', 'long and longer', 'endless…']);
    expect(lines.map(({ at }) => ((at ?? 0) - AT) / 1_000)).toEqual([3, 5, 6, 7]);
  });

  test('cuts a line at 1 MiB, between characters, in bounded memory', async () => {
    using folder = new Folder();
    const file = folder.write('a', `${'€'.repeat(10 * MIB)}\nend`);
    const lines = await all([file], 'raw');
    expect(lines.map(({ line }) => line).join('')).toBe(`${'€'.repeat(10 * MIB)}end`);
    expect(lines.filter(({ isPartial }) => isPartial)).toHaveLength(30);
    expect(Math.max(...lines.map(({ line }) => Buffer.byteLength(line)))).toBeLessThanOrEqual(MIB);
    const piece = 'x'.repeat(16_384);
    const pieces = cri(...Array(100).fill(`1 stdout P ${piece}`), '1 stdout F end');
    const joined = await all([folder.write('b', pieces)], 'cri');
    expect(joined.map(({ line, isPartial }) => [line.length, isPartial])).toEqual([
      [MIB, true],
      [36 * 16_384 + 3, false],
    ]);
  });

  test('goes on with a raw line that a rotation has split', async () => {
    using folder = new Folder();
    const files = [folder.write('a.1', 'one\ntw'), folder.write('a', 'o\nthree\n')];
    expect(texts(await all(files, 'raw'))).toEqual(['one', 'two', 'three']);
    expect(texts(await lastLines(files, 'raw', 2))).toEqual(['two', 'three']);
  });

  test('gives the lines of a range; one without time goes with the one before', async () => {
    using folder = new Folder();
    const file = folder.write('a', cri('1 stdout F one', '2 stdout F two', 'trace', '3 stdout F three', 'trace'));
    const later = new Date(AT + 5_000);
    utimesSync(file, later, later);
    expect(texts(await all([file], 'cri', { sinceMs: AT + 2_000, untilMs: AT + 2_000 }))).toEqual(['two', 'trace']);
    expect(texts(await all([file], 'cri', { sinceMs: AT + 3_000 }))).toEqual(['three', 'trace']);
    expect(texts(await all([file], 'cri', { untilMs: AT + 1_000 }))).toEqual(['one']);
  });

  test('does not open a view on files that were last written before the range', async () => {
    using folder = new Folder();
    const [old, recent] = [folder.write('a.1', 'old\n'), folder.write('a', 'new\n')];
    utimesSync(old, new Date(AT), new Date(AT));
    utimesSync(recent, new Date(AT + 60_000), new Date(AT + 60_000));
    expect(texts(await all([old, recent], 'raw', { sinceMs: AT + 30_000 }))).toEqual(['new']);
  });

  test('ends when it is aborted', async () => {
    using folder = new Folder();
    const file = folder.write('a', 'line\n'.repeat(200_000));
    const abort = new AbortController();
    let count = 0;
    for await (const _ of readLines([file], 'raw', {}, { signal: abort.signal })) if (++count === 10) abort.abort();
    expect(count).toBeLessThan(100_000);
  });

  test('is not disturbed by a rotation meanwhile', async () => {
    using folder = new Folder();
    const files = [folder.write('a.1', 'one\n'), folder.write('a', 'two\n'.repeat(100_000))];
    let count = 0;
    for await (const _ of readLines(files, 'raw')) {
      if (count++ > 0) continue;
      unlinkSync(join(folder.path, 'a.1'));
      renameSync(join(folder.path, 'a'), join(folder.path, 'a.1'));
      folder.write('a', 'three\n');
    }
    expect(count).toBe(100_001);
  });
});

describe('the last lines', () => {
  test('come from as many files as needed, in order', async () => {
    using folder = new Folder();
    const files = [
      folder.write('a.2.gz', gzipSync('one\ntwo\n')),
      folder.write('a.1', 'three\n'),
      folder.write('a', 'four\nfive\n'),
    ];
    for (const [count, expected] of [
      [0, []],
      [1, ['five']],
      [3, ['three', 'four', 'five']],
      [4, ['two', 'three', 'four', 'five']],
      [9, ['one', 'two', 'three', 'four', 'five']],
    ] as const) {
      expect(texts(await lastLines(files, 'raw', count))).toEqual(expected);
    }
    expect(texts(await lastLines(files, 'raw', 2, ({ line }) => line.includes('o')))).toEqual(['two', 'four']);
  });

  test('of a big log are found without reading all of it', async () => {
    using folder = new Folder();
    const file = folder.write('a', '');
    // 8 GiB, nearly all of it a hole: to read it takes many times as long as this test may.
    truncateSync(file, 8 * 1024 * MIB);
    appendFileSync(file, `\n${'x'.repeat(99)}`.repeat(2_000));
    expect(texts(await lastLines([file], 'raw', 10))).toEqual(Array(10).fill('x'.repeat(99)));
  });

  test('are whole, also when their pieces begin far before the end', async () => {
    using folder = new Folder();
    const noise = Array<string>(2_000).fill(`2 stderr F ${'x'.repeat(100)}`);
    const file = folder.write('a', cri(...noise, '1 stdout P begin ', ...noise, '3 stdout F end', '4 stderr F last'));
    expect(texts(await lastLines([file], 'cri', 2))).toEqual(['begin end', 'last']);
  });

  test('are always the last ones of all', async () => {
    const lines = fc.array(
      fc.record({
        stream: fc.constantFrom('stdout' as const, 'stderr' as const),
        text: fc.oneof(
          { weight: 20, arbitrary: fc.string({ unit: 'grapheme', maxLength: 60 }) },
          { weight: 1, arbitrary: fc.integer({ min: 16_000, max: 70_000 }).map((length) => 'é'.repeat(length)) },
        ),
      }),
      { maxLength: 60 },
    );
    const holds = async (
      format: LogFormat,
      sizes: readonly number[],
      chunks: readonly { stream: 'stdout' | 'stderr'; text: string }[],
      count: number,
    ) => {
      using folder = new Folder();
      const formatters = { stdout: new LineFormatter(format, 'stdout'), stderr: new LineFormatter(format, 'stderr') };
      const parts: Buffer[][] = [[]];
      for (const [at, { stream, text }] of chunks.entries()) {
        if (sizes.includes(at)) parts.push([]);
        // A line in pieces has its end: one without is told last by a reader of all, and may be out of a tail's sight.
        const hasEnd = at % 5 > 0 || text.length > 15_000;
        const written = formatters[stream].push(Buffer.from(hasEnd ? `${text}\n` : text), AT + at);
        parts.at(-1)?.push(Buffer.from(written));
      }
      const files = parts.map((part, index) =>
        index % 2 === 0
          ? folder.write(`${index}`, Buffer.concat(part))
          : folder.write(`${index}.gz`, gzipSync(Buffer.concat(part))),
      );
      const expected = await all(files, format);
      expect(await lastLines(files, format, count)).toEqual(expected.slice(-count));
      const isOut = ({ line }: LogLine) => line.length % 3 === 0;
      expect(await lastLines(files, format, count, isOut)).toEqual(expected.filter(isOut).slice(-count));
    };
    const formats = fc.constantFrom<LogFormat>('cri', 'json', 'raw');
    const counts = fc.integer({ min: 1, max: 40 });
    await fc.assert(fc.asyncProperty(formats, fc.array(fc.nat(60), { maxLength: 3 }), lines, counts, holds), {
      numRuns: 150,
    });
  });
});

describe('a follower', () => {
  /** A log file that is written and rotated as the supervisor does, and one who follows it. */
  class World implements Disposable {
    readonly folder = new Folder();
    readonly path = join(this.folder.path, 'a');
    readonly seen: LogLine[] = [];
    readonly file: LogFile;

    constructor(policy: Partial<typeof DEFAULT_LOGS> = {}) {
      this.file = new LogFile({ path: this.path, policy: { ...DEFAULT_LOGS, ...policy }, now: Date.now });
    }

    follow(format: LogFormat, from = 0): LogFollower {
      return new LogFollower(this.path, format, from, (line) => this.seen.push(line));
    }

    write(...texts: readonly string[]): void {
      for (const text of texts) {
        this.file.rotateIfDue();
        this.file.write(Buffer.from(text));
      }
    }

    [Symbol.dispose](): void {
      this.file.close();
      this.folder[Symbol.dispose]();
    }
  }

  test('hands out what comes after its begin, as soon as a line is complete', () => {
    using world = new World();
    world.write('old\n');
    const follower = world.follow('raw', world.file.position().size);
    world.write('one\ntw');
    follower.advance();
    expect(texts(world.seen)).toEqual(['one']);
    world.write('o\n');
    follower.advance();
    follower.advance();
    expect(texts(world.seen)).toEqual(['one', 'two']);
    follower.close();
  });

  test('waits for a file that does not exist yet', () => {
    using world = new World();
    const follower = world.follow('cri', 100);
    follower.advance();
    world.write(cri('1 stdout P o', '2 stdout F ne'));
    follower.advance();
    expect(world.seen).toEqual([{ at: AT + 2_000, stream: 'stdout', line: 'one', isPartial: false }]);
    follower.close();
  });

  test.each([
    ['one rotation', { maxSizeBytes: 30 }],
    ['several rotations at once', { maxSizeBytes: 10 }],
    ['rotations of a single file, one at a time', { maxSizeBytes: 30, maxFiles: 1 }],
  ])('loses nothing in %s', (_, policy) => {
    using world = new World(policy);
    world.write('0 first\n');
    const follower = world.follow('raw');
    follower.advance();
    world.write('1 second\n', '2 third half ', '3 a\n', '4 b\n', '5 c\n');
    follower.advance();
    world.write('6 d\n');
    follower.advance();
    expect(texts(world.seen)).toEqual(['0 first', '1 second', '2 third half 3 a', '4 b', '5 c', '6 d']);
    follower.close();
  });

  test('passes over what a failed write has left and taken back', () => {
    using world = new World();
    world.write('one\ntorn');
    const follower = world.follow('raw');
    follower.advance();
    world.file.truncateTo(4);
    follower.advance();
    world.write('two\n');
    follower.advance();
    expect(texts(world.seen)).toEqual(['one', 'two']);
    follower.close();
  });

  test('may be closed by the one who listens, and is quiet when all is gone', () => {
    using world = new World();
    world.write('one\ntwo\n');
    const follower: LogFollower = new LogFollower(world.path, 'raw', 0, (line) => {
      world.seen.push(line);
      follower.close();
    });
    follower.advance();
    follower.advance();
    expect(texts(world.seen)).toEqual(['one']);
    const other = world.follow('raw', statSync(world.path).size);
    rmSync(world.path);
    other.advance();
    other.close();
    expect(texts(world.seen)).toEqual(['one']);
  });
});

test('what was written after the end that was noted is not read', async () => {
  using folder = new Folder();
  const old = folder.write('a.1', 'one\n');
  const file = folder.write('a', 'two\nthree\nfour\n');
  const upTo = { ino: statSync(file).ino, size: 'two\nthree\n'.length };
  const lines = await all([old, file], 'raw', {}, { upTo });
  expect(lines.map(({ line }) => line)).toEqual(['one', 'two', 'three']);
  expect((await lastLines([old, file], 'raw', 1, () => true, upTo)).map(({ line }) => line)).toEqual(['three']);
  const rotated = { ino: statSync(old).ino, size: 4 };
  expect((await lastLines([old, file], 'raw', 5, () => true, rotated)).map(({ line }) => line)).toEqual(['one']);
});
