// Figures of the libraries, by their names.
import { median } from '../kit/statistics.mjs';

export function emptyFor(libraries, keys) {
  return Object.fromEntries(libraries.map(({ name }) => [name, Object.fromEntries(keys.map((key) => [key, []]))]));
}

export function gather(into, figures) {
  for (const [key, value] of Object.entries(figures)) into[key]?.push(value);
}

/** Nobody is always the first. */
export function turned(list, by) {
  return list.map((_one, n) => list[(n + by) % list.length]);
}

export function overOwn(found, name, key, digits = 2) {
  if (found['gsup/app'] === undefined || found[name][key].length === 0) return '';
  return (median(found['gsup/app'][key]) / median(found[name][key])).toFixed(digits);
}

export function shown(numbers, digits) {
  if (numbers.length === 0) return '–';
  const text = (number) => number.toFixed(digits);
  return `${text(median(numbers))} (${text(Math.min(...numbers))}–${text(Math.max(...numbers))})`;
}

export function progress(title, found, key, digits = 0) {
  const cells = Object.entries(found).map(([name, figures]) => `${name} ${shown(figures[key], digits)}`);
  console.error(`  ${title}, ${key}: ${cells.join(', ')}`);
}
