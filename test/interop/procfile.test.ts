/** Procfiles: their lines, their ports, what is wrong in them. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts of others
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isGsupError } from '../../src/core/error.ts';
import { importProcfile, type ProcfileOptions } from '../../src/interop/procfile.ts';

const OPTIONS: ProcfileOptions = { file: 'Procfile', basePort: 5000, hasEnvFile: false, endsTogether: false };
const services = (text: string, options: Partial<ProcfileOptions> = {}) =>
  importProcfile(text, { ...OPTIONS, ...options }).config.services;

test('each process has a shell of its own, and a port 100 above the one before', () => {
  expect(services('\uFEFF# all of it\r\n\nweb:  node web.js $PORT\r\nworker_1: A=1 x | y\n')).toEqual({
    web: { command: 'exec node web.js $PORT', shell: true, env: { PORT: '5000' }, rolling: { maxSurge: 0 } },
    worker_1: {
      command: 'A=1 x | y',
      shell: true,
      env: { PORT: '5100' },
      rolling: { maxSurge: 0 },
      stop: { killMode: 'group' },
    },
  });
});

test('the first port, and the file of variables beside it', () => {
  expect(services('web: x', { basePort: 3000, hasEnvFile: true })['web']).toMatchObject({
    env: { PORT: '3000' },
    envFile: '.env',
  });
});

test('in the foreground they end together, whatever the status', () => {
  expect(services('web: x', { endsTogether: true })['web']).toMatchObject({
    restart: { policy: 'never', successExitCodes: [] },
    critical: true,
  });
});

test('names that are none here', () => {
  const { config, notes } = importProcfile('_web: x\nall: y', OPTIONS);
  expect(Object.keys(config.services)).toEqual(['web', 'all-app']);
  expect(notes.map(({ message }) => message).slice(0, 2)).toEqual([
    'is no name here: it is web',
    'is no name here: it is all-app',
  ]);
});

test('every wrong line is told with its place', () => {
  expect(() => services('web x\nok: 1\nok: 2\nb c: d')).toThrow(`Procfile:1:1 expected "name: command"
  1 | web x
    | ^^^^^
Procfile:3:1 the name ok is there twice
  3 | ok: 2
    | ^^^^^
Procfile:4:1 expected "name: command"
  4 | b c: d
    | ^^^^^^`);
  expect(() => services('# nothing\n')).toThrow('Procfile: has no process; expected lines of "name: command"');
});

test('any text gives services, or a GsupError', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(fc.stringMatching(/^[\w-]+$/), fc.string()).map((p) => p.join(': ')),
  );
  const holds = (lines: readonly string[]) => {
    try {
      expect(Object.keys(services(lines.join('\n'))).length).toBeGreaterThan(0);
    } catch (error) {
      if (!isGsupError(error)) throw error;
      expect(error.exitStatus).toBe(78);
    }
  };
  fc.assert(fc.property(fc.array(line), holds), { numRuns: 500 });
});
