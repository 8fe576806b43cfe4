/** Random specs, as the reader of the configuration would give them. */
import fc from 'fast-check';
import type { Check, LiveCheck, Program, ServiceSpec, SocketSpec, SupervisorSpec } from '../../src/core/service.ts';
import { SIGNAL_NAMES } from '../../src/core/signal.ts';
import { serviceSpec } from './spec.ts';

/** Any text that a program may be given. */
export const anyText = fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => !text.includes('\0'));
const tricky = fc.constantFrom(
  'yes',
  '012',
  '1:30',
  '~',
  '${HOME}',
  '$(HOME)',
  '$$',
  '%{if}',
  '{{ .X }}',
  "it's",
  '# x',
  'a: b',
  '\u0085',
  '',
);
const text = fc.oneof(
  anyText,
  tricky,
  fc.string({ maxLength: 8 }).filter((one) => !one.includes('\0')),
);
const length = fc.oneof(fc.constantFrom(0, 1, 999, 1_000, 60_000, 2_147_483_647), fc.nat(100_000));
const name = fc
  .oneof(
    fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/),
    fc.constantFrom('a', 'A', 'a.', 'a_', '1', 'x'.repeat(64)),
  )
  .filter((one) => one !== 'all' && !(one in {}));
const argv = fc
  .tuple(
    text.filter((word) => word !== ''),
    fc.array(text, { maxLength: 3 }),
  )
  .map(([first, rest]): [string, ...string[]] => [first, ...rest]);

const program: fc.Arbitrary<Program> = fc.oneof(
  argv.map((words): Program => ({ kind: 'command', argv: words })),
  text.filter((line) => line !== '').map((line): Program => ({ kind: 'shell', line })),
  fc.record({
    kind: fc.constant('script' as const),
    script: fc.constantFrom('/srv/shop/a.js', '/srv/shop/b.ts', '/opt/x.py', '/srv/shop/tool', '/srv/shop/$x/a b.sh'),
    args: fc.array(text, { maxLength: 3 }),
    interpreter: fc.option(fc.constantFrom('node', 'bun')),
    interpreterArgs: fc.array(text, { maxLength: 2 }),
  }),
);

const port = fc.integer({ min: 1, max: 65_535 });
const host = fc.constantFrom('127.0.0.1', '::', '0.0.0.0', '::1', '10.1.2.3');
const url = fc.constantFrom(
  'http://127.0.0.1:3000/readyz',
  'https://localhost/a?b=c',
  'http://u:p@127.0.0.1:1/',
  "http://[::1]:8080/it's",
  'http://10.1.2.3/$x',
);
const live: fc.Arbitrary<LiveCheck> = fc.oneof(
  url.map((one): LiveCheck => ({ kind: 'http', url: one })),
  fc.record({ kind: fc.constant('tcp' as const), host, port }),
  argv.map((words): LiveCheck => ({ kind: 'exec', argv: words })),
  fc.constant<LiveCheck>({ kind: 'notify' }),
);
const ready: fc.Arbitrary<Check> = fc.oneof(
  live,
  fc.constant<Check>({ kind: 'message' }),
  fc.constant<Check>({ kind: 'log', pattern: 'ready\n#' }),
  fc.constant<Check>({ kind: 'fd', fd: 9 }),
);
const socket = (names: string): fc.Arbitrary<SocketSpec> =>
  fc.record({
    name: fc.constant(names),
    address: fc.oneof(
      fc.record({ kind: fc.constant('tcp' as const), host, port }),
      fc.constant({ kind: 'unix' as const, path: '/run/x\ny.sock' }),
    ),
    backlog: fc.constantFrom(511, 9),
    mode: fc.constant(null),
  });
const sockets = fc
  .uniqueArray(fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/), { maxLength: 3 })
  .chain((names) => fc.tuple(...names.map(socket)));
const variable = fc
  .oneof(fc.stringMatching(/^[A-Z_]{1,6}$/), fc.constantFrom('PORT', 'DB_PASSWORD', 'DATABASE_URL', 'a.b', '1X', ''))
  .filter((one) => !(one in {}));

const service: fc.Arbitrary<ServiceSpec> = fc
  .record({
    program,
    cwd: fc.constantFrom('/srv/shop', '/srv/shop/sub', '/', '/else'),
    env: fc.dictionary(variable, text, { maxKeys: 4, noNullPrototype: true }),
    envFiles: fc.constantFrom<readonly string[]>([], ['/srv/shop/.env'], ['/a.env', '/srv/shop/b.env']),
    inheritEnv: fc.boolean(),
    instances: fc.integer({ min: 1, max: 5 }),
    ready: fc.option(
      fc.record({
        check: ready,
        initialDelayMs: length,
        intervalMs: length.map((ms) => Math.max(10, ms)),
        timeoutMs: length.map((ms) => Math.max(10, ms)),
        successThreshold: fc.integer({ min: 1, max: 5 }),
      }),
    ),
    live: fc.option(
      fc.record({
        check: live,
        initialDelayMs: length,
        intervalMs: length.map((ms) => Math.max(10, ms)),
        timeoutMs: length.map((ms) => Math.max(10, ms)),
        failureThreshold: fc.integer({ min: 1, max: 5 }),
      }),
    ),
    sockets,
    rolling: fc.record({ maxSurge: fc.nat(3), maxUnavailable: fc.nat(3), minReadyMs: length }),
    restart: fc.record({
      policy: fc.constantFrom('always' as const, 'on-failure' as const, 'never' as const),
      minDelayMs: fc.nat(1000),
      maxDelayMs: fc.constant(60_000),
      limit: fc.nat(1_000_000),
      windowMs: length,
      successExitCodes: fc.constantFrom([0], [0, 3]),
    }),
    stop: fc.record({
      signal: fc.option(fc.constantFrom(...SIGNAL_NAMES)),
      graceMs: length,
      killMode: fc.constantFrom('mixed' as const, 'group' as const, 'leader' as const),
      drainDelayMs: length,
      preStop: fc.option(fc.record({ argv, timeoutMs: length })),
      message: fc.boolean(),
    }),
    critical: fc.boolean(),
    memoryLimitBytes: fc.option(fc.nat(2_000_000_000)),
    watch: fc.constantFrom(null, { paths: ['/srv/src'], ignore: [], debounceMs: 200 }),
    schedule: fc.constantFrom(null, '0 3 * * *'),
    user: fc.option(fc.constantFrom('0', '1000', 'www-data', '99999999999999999999')),
    group: fc.option(fc.constantFrom('0', 'staff')),
    umask: fc.option(fc.nat(0o777)),
    nice: fc.option(fc.integer({ min: -20, max: 19 })),
  })
  .map((overrides) => serviceSpec(overrides));

/** One to four services that depend on earlier ones. */
export const anySpec: fc.Arbitrary<SupervisorSpec> = fc
  .uniqueArray(name, { minLength: 1, maxLength: 4 })
  .chain((names) =>
    fc.tuple(
      ...names.map((own, index) =>
        fc
          .tuple(
            service,
            fc.dictionary(
              fc.constantFrom(...names.slice(0, index), ''),
              fc.constantFrom('started' as const, 'ready' as const, 'completed' as const),
              { noNullPrototype: true },
            ),
          )
          .map(([spec, dependsOn]): ServiceSpec => {
            const { '': _, ...known } = dependsOn;
            return { ...spec, name: own, dependsOn: known };
          }),
      ),
    ),
  )
  .map((services) => ({ services, shutdownTimeoutMs: null }));
