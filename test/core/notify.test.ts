import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseNotify } from '../../src/core/notify.ts';

test.each([
  ['READY=1', { ready: true }],
  ['READY=1\0', { ready: true }],
  ['READY=1\nSTATUS=up and running\nMAINPID=4711\n', { ready: true, status: 'up and running', mainPid: 4711 }],
  ['STOPPING=1\nERRNO=2', { stopping: true, errno: 2 }],
  ['RELOADING=1\nMONOTONIC_USEC=12345', { reloading: true }],
  ['WATCHDOG=1', { watchdog: 'ping' }],
  ['WATCHDOG=trigger', { watchdog: 'trigger' }],
  ['WATCHDOG_USEC=20000000', { watchdogMs: 20_000 }],
  ['WATCHDOG_USEC=0', { watchdogMs: 0 }],
  ['EXTEND_TIMEOUT_USEC=1', { extendMs: 1 }],
  ['STATUS=', { status: '' }],
  ['STATUS=a=b', { status: 'a=b' }],
])('%j says what it says', (text, message) => {
  expect(parseNotify(text)).toEqual(message);
});

test.each([
  '',
  '\n\n=\n=1',
  'READY',
  'READY=0',
  'READY=true',
  ' READY=1',
  'ready=1',
  'WATCHDOG=0',
  'BARRIER=1',
  'FDSTORE=1\nFDNAME=x',
  'MAINPID=0',
  'MAINPID=1',
  'MAINPID=-5',
  'MAINPID=4194305',
  'MAINPID=12x',
  'ERRNO=1e3',
  'ERRNO=99999',
  'EXTEND_TIMEOUT_USEC=-1',
  'EXTEND_TIMEOUT_USEC=Infinity',
  'EXTEND_TIMEOUT_USEC=18446744073709551615',
  'WATCHDOG_USEC=1.5',
  '__proto__=1\nconstructor=1\ntoString=1',
])('%j says nothing', (text) => {
  expect(parseNotify(text)).toEqual({});
});

test('of a key that comes twice the first one counts', () => {
  expect(parseNotify('STATUS=one\nSTATUS=two\nMAINPID=x\nMAINPID=7')).toEqual({ status: 'one' });
});

test('a status can neither move a cursor nor flood a screen', () => {
  expect(parseNotify('STATUS=a\x1b[31m\tb\r\u0085c\u202ed')).toEqual({ status: 'a[31mbcd' });
  expect(parseNotify(`STATUS=${'x'.repeat(501)}`).status).toHaveLength(500);
  expect(parseNotify(`STATUS=${'😀'.repeat(501)}`).status).toBe('😀'.repeat(500));
});

const KEYS = 'READY STOPPING RELOADING STATUS EXTEND_TIMEOUT_USEC WATCHDOG WATCHDOG_USEC MAINPID ERRNO BARRIER'.split(
  ' ',
);
const VALUES = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('1', '0', 'trigger', 'NaN', '1e999', '-1'),
  fc.bigInt().map(String),
);
const LINES = fc.tuple(fc.oneof(fc.constantFrom(...KEYS), fc.string()), VALUES).map((pair) => pair.join('='));

test('whatever is sent, only known fields come of it, and only sane ones', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(LINES).map((lines) => lines.join('\n')),
      ),
      (text) => {
        const { ready, stopping, reloading, status, extendMs, watchdog, watchdogMs, mainPid, errno, ...rest } =
          parseNotify(text);
        expect(rest).toEqual({});
        for (const flag of [ready, stopping, reloading]) expect([true, undefined]).toContain(flag);
        expect(['ping', 'trigger', undefined]).toContain(watchdog);
        expect([...(status ?? '')].length).toBeLessThanOrEqual(500);
        expect(status ?? '').not.toMatch(/\p{Cc}/u);
        for (const number of [extendMs, watchdogMs, mainPid, errno]) {
          if (number === undefined) continue;
          expect(Number.isSafeInteger(number)).toBe(true);
          expect(number).toBeGreaterThanOrEqual(0);
          expect(number).toBeLessThanOrEqual(2_147_483_647);
        }
        if (mainPid !== undefined) expect(mainPid).toBeGreaterThan(1);
      },
    ),
    { numRuns: 2000 },
  );
});
