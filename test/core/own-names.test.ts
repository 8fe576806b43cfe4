import { expect, test } from 'vitest';
import { findCycle } from '../../src/core/graph.ts';
import { withHiddenNames, withShownNames } from '../../src/core/own-names.ts';

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'plain'];

test('names that every object has survive what leaves them out, and come back as they were', () => {
  const map = Object.fromEntries(NAMES.map((name) => [name, 1]));
  const hidden = withHiddenNames(map) as object;
  expect(Object.keys(hidden)).not.toContain('__proto__');
  expect(Object.keys(withShownNames({ ...hidden }))).toEqual(NAMES);
});

test.each([[null], ['text'], [[1, 2]], [{ a: 1 }]])('%j is as it is', (value) => {
  expect(withHiddenNames(value)).toBe(value);
});

test('a service that depends on what only has the name of such a thing is in no circle', () => {
  expect(findCycle({ a: NAMES })).toBeNull();
});
