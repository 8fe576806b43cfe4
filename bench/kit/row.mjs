// A row of the results: one quantity, measured of each supervisor, with its ratios and its goal.
import { ratios, sum, summary } from './statistics.mjs';

/**
 * `samples`: by supervisor. `reference`: `{ name, samples }` with samples of each supervisor or of all, or `{ peer }`, one of the supervisors.
 * `goal`: `{ value, ratio }`, each `{ atMost }` or `{ atLeast }`. `isCount`: the sum counts, not the median. A scale divides the samples.
 */
export function row(given) {
  const { id, title, unit = '', digits = 2, scale = 1, isMoreBetter = false, isCount = false, goal = null } = given;
  const samples = Object.fromEntries(
    Object.entries(given.samples)
      .filter(([, numbers]) => numbers.length > 0)
      .map(([name, numbers]) => [name, numbers.map((number) => number / scale)]),
  );
  const referenceOf = referenceFor(given.reference, samples, scale);
  const supervisors = Object.entries(samples).map(([name, own]) => {
    const reference = referenceOf(name);
    const figures = {
      ...summary(own),
      ...(isCount ? { total: sum(own) } : {}),
      ratio: reference === null ? null : summary(ratios(own, reference)),
    };
    return [name, { ...figures, isMet: isMet(goal, figures) }];
  });
  const reference = given.reference === undefined ? null : (given.reference.name ?? given.reference.peer);
  const isToPeer = given.reference?.peer !== undefined;
  return {
    id,
    title,
    unit,
    digits,
    isMoreBetter,
    isCount,
    goal,
    reference,
    isToPeer,
    supervisors: fromEntries(supervisors),
  };
}

function fromEntries(entries) {
  return Object.fromEntries(entries);
}

function referenceFor(reference, samples, scale) {
  if (reference === undefined) return () => null;
  if (reference.peer !== undefined)
    return (name) => (name === reference.peer ? null : withoutZero(samples[reference.peer] ?? []));
  return (name) => {
    const own = Array.isArray(reference.samples) ? reference.samples : (reference.samples[name] ?? []);
    return withoutZero(own.map((number) => number / scale));
  };
}

/** Nothing can be told in multiples of nothing. */
function withoutZero(numbers) {
  return numbers.length === 0 || numbers.some((number) => number === 0) ? null : numbers;
}

/** Null where there is no goal, or nothing to hold against it. */
function isMet(goal, figures) {
  if (goal === null) return null;
  const value = figures.total ?? figures.median;
  const held = [
    ...(goal.value === undefined ? [] : [holds(goal.value, value)]),
    ...(goal.ratio === undefined || figures.ratio === null ? [] : [holds(goal.ratio, figures.ratio.median)]),
  ];
  return held.length === 0 ? null : held.every(Boolean);
}

function holds({ atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY }, number) {
  return number <= atMost && number >= atLeast;
}
