import * as v from 'valibot';
import { expect, test } from 'vitest';
import { INPUTS } from '../../src/api/inputs.ts';
import { serviceSpec } from '../kit/spec.ts';

test('variables and dependencies keep every name, also one that every object has', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString'];
  const env = Object.fromEntries(names.map((name) => [name, 'x']));
  const dependsOn = Object.fromEntries(names.map((name) => [name, 'started' as const]));
  const input = { services: [serviceSpec({ env, dependsOn })], environment: env, isWhole: true, isDryRun: true };
  const { services, environment } = v.parse(INPUTS.apply, input);
  expect(Object.keys(environment)).toEqual(names);
  expect(Object.keys(services[0]?.env ?? {})).toEqual(names);
  expect(Object.keys(services[0]?.dependsOn ?? {})).toEqual(names);
});

test('an expression for logs is not taken', () => {
  expect(v.parse(INPUTS.logs, { grep: '(x+x+)+y' })).not.toHaveProperty('grep');
});
