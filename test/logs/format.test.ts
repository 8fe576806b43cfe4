import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { cutBefore, LineFormatter, type LogFormat, parseLine, type StreamName } from '../../src/logs/format.ts';
import { Stamper } from '../../src/logs/stamper.ts';
import { asCri, asPlainCri } from '../../src/logs/written.ts';

const AT = Date.parse('2026-11-21T04:41:00.123Z') + 0.456;
const STAMP = '2026-11-21T04:41:00.123456000Z';

function pushed(format: LogFormat, stream: StreamName, ...chunks: readonly string[]): readonly string[] {
  const formatter = new LineFormatter(format, stream);
  return chunks.map((chunk) => formatter.push(Buffer.from(chunk), AT).toString());
}

describe('cri', () => {
  test('gives every line time, stream and F', () => {
    expect(pushed('cri', 'stderr', 'one\n\ntwo\n')).toEqual([
      `${STAMP} stderr F one\n${STAMP} stderr F \n${STAMP} stderr F two\n`,
    ]);
  });

  test('writes a line when its end has come, and the last without an end at the end', () => {
    const formatter = new LineFormatter('cri', 'stdout');
    expect(formatter.push(Buffer.from('a\nb'), AT - 1_000).toString()).toBe(
      '2026-11-21T04:40:59.123456000Z stdout F a\n',
    );
    expect(formatter.rest.toString()).toBe('b');
    expect(formatter.push(Buffer.from('c'), AT).toString()).toBe('');
    expect(formatter.end(AT).toString()).toBe(`${STAMP} stdout F bc\n`);
    expect(formatter.end(AT).toString()).toBe('');
  });

  test('keeps the CR before a newline and bytes that are no UTF-8', () => {
    const formatter = new LineFormatter('cri', 'stdout');
    const line = Buffer.from([0x61, 0xff, 0x00, 0xe2, 0x82, 0x0d, 0x0a]);
    expect(formatter.push(line, AT)).toEqual(Buffer.concat([Buffer.from(`${STAMP} stdout F `), line]));
  });

  test('splits only what is longer than 16 KiB, between characters', () => {
    const head = `${STAMP} stdout`;
    const full = 'x'.repeat(16_384);
    expect(pushed('cri', 'stdout', `${full}\n`)).toEqual([`${head} F ${full}\n`]);
    expect(pushed('cri', 'stdout', full, '\n')).toEqual(['', `${head} F ${full}\n`]);
    expect(pushed('cri', 'stdout', `${full}y`, '\n')).toEqual([`${head} P ${full}\n`, `${head} F y\n`]);
    const short = full.slice(2);
    expect(pushed('cri', 'stdout', `a\n${short}€z\nb\n`)).toEqual([
      `${head} F a\n${head} P ${short}\n${head} F €z\n${head} F b\n`,
    ]);
  });

  test('a chunk may be overwritten after it was pushed', () => {
    const formatter = new LineFormatter('cri', 'stdout');
    const chunk = Buffer.from('a\nrest');
    formatter.push(chunk, AT);
    chunk.fill(0);
    expect(formatter.rest.toString()).toBe('rest');
  });
});

describe('json', () => {
  test('gives every line an object', () => {
    expect(pushed('json', 'stdout', 'say "hi"\\\n')).toEqual([
      `{"time":"${STAMP}","stream":"stdout","line":"say \\"hi\\"\\\\"}\n`,
    ]);
  });

  test('marks the pieces of a long line and replaces what is no UTF-8', () => {
    const full = 'x'.repeat(16_384);
    expect(pushed('json', 'stderr', `${full}y\n`)).toEqual([
      `{"time":"${STAMP}","stream":"stderr","line":"${full}","partial":true}\n` +
        `{"time":"${STAMP}","stream":"stderr","line":"y"}\n`,
    ]);
    const formatter = new LineFormatter('json', 'stdout');
    formatter.push(Buffer.from([0x61, 0xff, 0x62]), AT);
    expect(JSON.parse(formatter.end(AT).toString())).toEqual({ time: STAMP, stream: 'stdout', line: 'a\ufffdb' });
  });
});

test('raw leaves everything as it is and holds nothing', () => {
  const formatter = new LineFormatter('raw', 'stdout');
  const chunk = Buffer.from('a\r\nb');
  expect(formatter.push(chunk, AT)).toBe(chunk);
  expect([formatter.rest.length, formatter.end(AT).length]).toEqual([0, 0]);
});

test.each([
  ['cri', `${STAMP} stdout F a b`, { at: AT, stream: 'stdout', line: 'a b', isPartial: false }],
  ['cri', `${STAMP} stderr P `, { at: AT, stream: 'stderr', line: '', isPartial: true }],
  ['json', `{"time":"${STAMP}","stream":"stdout","line":"a","partial":true}`, { at: AT, line: 'a', isPartial: true }],
] as const)('as %s, %s is a line', (format, written, line) => {
  expect(parseLine(written, format)).toMatchObject({ ...line, at: expect.closeTo(line.at, 3) });
  expect(parseLine(Buffer.from(written), format)).toEqual(parseLine(written, format));
});

test.each([
  ['raw', `${STAMP} stdout F a`],
  ['cri', 'panic: out of paper'],
  ['cri', ''],
  ['cri', `${STAMP} stdout X a`],
  ['cri', `${STAMP} stdout F`],
  ['cri', `${STAMP.replace('11', '13')} stdout F a`],
  ['json', '{"time":"'],
  ['json', 'null'],
  ['json', '{"stream":"stdout","line":"a"}'],
  ['json', '{"time":"soon","stream":"stdout","line":"a"}'],
] as const)('as %s, "%s" is given as it is', (format, written) => {
  expect(parseLine(written, format)).toEqual({ at: null, stream: null, line: written, isPartial: false });
});

/** Bytes with newlines, characters of all lengths, broken ones, and lines around and above 16 KiB. */
const outputs = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
      { weight: 4, arbitrary: fc.constantFrom('\n', '\r\n', 'a', 'é', '€', '😀', '"\\n"').map((c) => Buffer.from(c)) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(
            fc.constantFrom('x', 'é', '€', '😀'),
            fc.integer({ min: 16_370, max: 16_400 }),
            fc.integer({ max: 3, min: 1 }),
          )
          .map(([char, bytes, times]) => Buffer.alloc(bytes * times, char)),
      },
    ),
    { maxLength: 25 },
  )
  .map((parts) => Buffer.concat(parts));
const cuts = fc.array(fc.nat(70_000), { maxLength: 20 });

/** Pushes `output` cut at `at`; every other time the process is killed in between and another goes on. */
function formatted(format: LogFormat, output: Buffer, at: readonly number[], laterMs = 1): Buffer {
  const out: Buffer[] = [];
  let formatter = new LineFormatter(format, 'stdout');
  let from = 0;
  for (const [turn, to] of [
    ...at.filter((cut) => cut < output.length).sort((a, b) => a - b),
    output.length,
  ].entries()) {
    out.push(Buffer.from(formatter.push(Buffer.from(output.subarray(from, to)), AT + turn * laterMs)));
    from = to;
    expect(formatter.rest.length).toBeLessThanOrEqual(16_384);
    if (turn % 2 === 0) continue;
    const { rest } = formatter;
    formatter = new LineFormatter(format, 'stdout');
    formatter.restore(rest);
  }
  return Buffer.concat([...out, formatter.end(AT)]);
}

/** The lines in a log, read byte for byte (latin1) where bytes are kept. */
function linesOf(written: Buffer, format: LogFormat): readonly string[] {
  const lines: string[] = [];
  let begun = '';
  for (const text of written
    .toString(format === 'json' ? 'utf8' : 'latin1')
    .split('\n')
    .slice(0, -1)) {
    const { at, line, isPartial } = parseLine(text, format);
    if (at === null) throw new Error(`no line of the format: ${text}`);
    if (format === 'cri') expect(line.length).toBeLessThanOrEqual(16_384);
    begun += line;
    if (isPartial) continue;
    lines.push(begun);
    begun = '';
  }
  expect(begun).toBe('');
  return lines;
}

describe('however the output is chunked, and wherever its process is killed', () => {
  test.each(['cri', 'json'] as const)('%s parses back to exactly its lines', (format) => {
    const holds = (output: Buffer, at: readonly number[]) => {
      const lines = output.toString(format === 'json' ? 'utf8' : 'latin1').split('\n');
      const expected = lines.at(-1) === '' ? lines.slice(0, -1) : lines;
      expect(linesOf(formatted(format, output, at), format)).toEqual(expected);
    };
    fc.assert(fc.property(outputs, cuts, holds), { numRuns: 500 });
  });

  test('raw is the output', () => {
    const holds = (output: Buffer, at: readonly number[]) => {
      expect(formatted('raw', output, at).equals(output)).toBe(true);
    };
    fc.assert(fc.property(outputs, cuts, holds));
  });
});

/** What a chunk of a busy service looks like: many lines of one length, which may be 0. */
const manyLines = fc
  .tuple(fc.integer({ max: 300, min: 0 }), fc.integer({ max: 3_000, min: 1 }), fc.constantFrom('x', 'é', '\xff'))
  .map(([length, count, char]) => Buffer.from(`${char.repeat(length)}\n`.repeat(count), 'latin1'));
const busyOutputs = fc.array(fc.oneof(manyLines, outputs), { maxLength: 6 }).map((parts) => Buffer.concat(parts));

/** The same said line by line, and slowly. */
function lineByLine(format: LogFormat, output: Buffer): string {
  const lines = output.toString('latin1').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.flatMap((line) => piecesOf(Buffer.from(line, 'latin1')).map((piece) => written(format, piece))).join('');
}

function written(format: LogFormat, { bytes, isLast }: { readonly bytes: Buffer; readonly isLast: boolean }): string {
  if (format === 'cri') return `${STAMP} stdout ${isLast ? 'F' : 'P'} ${bytes.toString('latin1')}\n`;
  const line = { time: STAMP, stream: 'stdout', line: bytes.toString(), ...(isLast ? {} : { partial: true }) };
  return Buffer.from(`${JSON.stringify(line)}\n`).toString('latin1');
}

function piecesOf(line: Buffer): { readonly bytes: Buffer; readonly isLast: boolean }[] {
  if (line.length <= 16_384) return [{ bytes: line, isLast: true }];
  const at = cutBefore(line, 16_384);
  return [{ bytes: line.subarray(0, at), isLast: false }, ...piecesOf(line.subarray(at))];
}

describe('however many lines come at once, short or long', () => {
  test.each(['cri', 'json'] as const)('%s is what is written line by line', (format) => {
    const holds = (output: Buffer, at: readonly number[]) => {
      const isSame = formatted(format, output, at, 0).equals(Buffer.from(lineByLine(format, output), 'latin1'));
      expect(isSame).toBe(true);
    };
    fc.assert(fc.property(busyOutputs, fc.array(fc.nat(900_000), { maxLength: 8 }), holds), { numRuns: 150 });
  });

  test.each([15, 16, 17, 16_383, 16_384, 16_385, 32_768])(
    'a newline %i bytes after another ends its line',
    (length) => {
      for (const before of [0, 1, 15, 16, 17, 4_096]) {
        const output = Buffer.from(`${'a\n'.repeat(before)}${'b'.repeat(length)}\n${'c\n'.repeat(4_096)}`);
        expect(formatted('cri', output, [], 0).toString()).toBe(lineByLine('cri', output));
      }
    },
  );

  test('cri is the same without WebAssembly', () => {
    vi.stubGlobal('WebAssembly', undefined);
    onTestFinished(() => void vi.unstubAllGlobals());
    expect(Stamper.open()).toBeNull();
    vi.unstubAllGlobals();
    const holds = (lines: Buffer) => {
      const [stamped, plain] = [asCri('stdout', AT, lines.length), asPlainCri('stdout', AT)];
      for (const out of [stamped, plain]) {
        out.lines(lines);
        out.line(lines.subarray(0, 100), true);
        out.lines(lines);
      }
      expect(Buffer.compare(stamped.end(), plain.end())).toBe(0);
    };
    fc.assert(fc.property(manyLines, holds));
  });
});
