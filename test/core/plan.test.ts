import fc from 'fast-check';
import { expect, test } from 'vitest';
import { differingKeys, planChanges } from '../../src/core/plan.ts';
import { type SpecOverrides, serviceSpec } from '../kit/spec.ts';

const api = serviceSpec();

test.each([
  ['the same', {}, 'none', ''],
  ['another program', { program: { kind: 'command', argv: ['false'] } }, 'replace', 'program'],
  ['another cwd', { cwd: '/srv' }, 'replace', 'cwd'],
  ['another variable', { env: { A: '1' } }, 'replace', 'env'],
  ['another env file', { envFiles: ['/srv/.env'] }, 'replace', 'envFiles'],
  ['no inherited environment', { inheritEnv: false }, 'replace', 'inheritEnv'],
  ['another user', { user: 'www' }, 'replace', 'user'],
  ['another group', { group: 'www' }, 'replace', 'group'],
  ['another umask', { umask: 0o27 }, 'replace', 'umask'],
  ['another nice', { nice: 5 }, 'replace', 'nice'],
  ['another grace period', { stop: { graceMs: 1 } }, 'update', 'stop'],
  ['another restart policy', { restart: { limit: 1 } }, 'update', 'restart'],
  ['a check', { ready: { check: { kind: 'message' }, intervalMs: 1, timeoutMs: 2 } }, 'update', 'ready'],
  ['a dependency', { dependsOn: { db: 'ready' } }, 'update', 'dependsOn'],
  ['a memory limit', { memoryLimitBytes: 1 }, 'update', 'memoryLimitBytes'],
  ['more instances', { instances: 4 }, 'scale', 'instances 1 → 4'],
  ['more instances and a policy', { instances: 4, critical: true }, 'update', 'critical, instances 1 → 4'],
  ['all at once', { instances: 2, critical: true, cwd: '/srv' }, 'replace', 'critical, cwd, instances 1 → 2'],
] as const)('%s', (_, overrides, action, what) => {
  const [change] = planChanges([api], [serviceSpec(overrides as SpecOverrides)], true);
  expect({ ...change, what: change?.what.split(', ').sort().join(', ') }).toEqual({ service: 'api', action, what });
});

test('what is not there yet is added, with the count when it is not one', () => {
  expect(planChanges([], [api, serviceSpec({ name: 'web', instances: 3 })], true)).toEqual([
    { service: 'api', action: 'add', what: '' },
    { service: 'web', action: 'add', what: '3 instances' },
  ]);
});

test('what is not wanted goes first, when the whole is planned, else it stays', () => {
  const present = [api, serviceSpec({ name: 'old' })];
  expect(planChanges(present, [api], true)).toEqual([
    { service: 'old', action: 'remove', what: '' },
    { service: 'api', action: 'none', what: '' },
  ]);
  expect(planChanges(present, [api], false)).toEqual([{ service: 'api', action: 'none', what: '' }]);
});

test('the order of keys in a map is no change; the order of arguments is', () => {
  const ab = serviceSpec({ env: { A: '1', B: '2' }, program: { kind: 'command', argv: ['x', 'a', 'b'] } });
  const ba = serviceSpec({ env: { B: '2', A: '1' }, program: { kind: 'command', argv: ['x', 'b', 'a'] } });
  expect(differingKeys(ab, ba)).toEqual(['program']);
});

test('the order of dependencies is no change, what they have to reach is', () => {
  const before = serviceSpec({ dependsOn: { a: 'ready', b: 'started' } });
  expect(differingKeys(before, serviceSpec({ dependsOn: { b: 'started', a: 'ready' } }))).toEqual([]);
  expect(differingKeys(before, serviceSpec({ dependsOn: { b: 'ready', a: 'ready' } }))).toEqual(['dependsOn']);
});

test('a key that an older gsup did not know yet is a change', () => {
  const { nice: _nice, ...older } = api;
  expect(differingKeys(older as typeof api, api)).toEqual(['nice']);
});

test('a spec that went through the disk is the same', () => {
  const specs = fc.record({
    env: fc.dictionary(fc.string(), fc.string()),
    envFiles: fc.array(fc.string()),
    instances: fc.nat(9),
    umask: fc.option(fc.nat(0o777)),
    memoryLimitBytes: fc.option(fc.nat()),
  });
  const isSame = (overrides: SpecOverrides) => {
    const spec = serviceSpec(overrides);
    const read = JSON.parse(JSON.stringify(spec)) as typeof spec;
    expect(planChanges([read], [spec], true)).toEqual([{ service: 'api', action: 'none', what: '' }]);
  };
  fc.assert(fc.property(specs, isSame), { numRuns: 200 });
});
