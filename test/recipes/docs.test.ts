import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixture } from '../kit/gsup.ts';
import { shownRecipes } from './page.ts';

const FILES = readdirSync(fixture('recipes')).filter((name) => /\.(mjs|cjs|ts)$/.test(name));

test('docs/recipes.md has a recipe for every program of fixtures/recipes, and no other', () => {
  expect([...shownRecipes().keys()].sort()).toEqual(FILES.sort());
});

test.each(FILES)('docs/recipes.md shows %s as it is, and a report', (name) => {
  const { program, report } = shownRecipes().get(name) ?? {};
  expect(program).toBe(readFileSync(fixture(`recipes/${name}`), 'utf8'));
  expect(report).not.toEqual({});
});
