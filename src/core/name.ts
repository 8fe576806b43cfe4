/** Names of services and instances (`api`, `api:0`), and the nearest of known names for a misspelt one. */

/** Letters, digits, `_ . -`, beginning with a letter or digit, at most 64. `all` is a word of the commands, and what every object of JavaScript has is no name. */
export function isServiceName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text) && text !== 'all' && !(text in {});
}

export type InstanceName = `${string}:${number}`;

export function instanceName(service: string, index: number): InstanceName {
  return `${service}:${index}`;
}

/** One of the two places of an instance, as a key and the name of a file: `api:0`, and `api:0+` beside it. */
export function slotName(slot: { readonly service: string; readonly index: number; readonly lane: 0 | 1 }): string {
  return `${instanceName(slot.service, slot.index)}${slot.lane === 0 ? '' : '+'}`;
}

/** The place that has this name. */
export function parseSlotName(name: string): { service: string; index: number; lane: 0 | 1 } {
  const [service = '', index = ''] = name.split(':');
  return { service, index: Number.parseInt(index, 10), lane: name.endsWith('+') ? 1 : 0 };
}

/** A longer text is no misspelt name. */
const LONGEST_WORD = 200;

/** The known name that is at most a third of its letters away from `text`, or `null`. */
export function nearest(text: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const allowed = Math.max(1, Math.floor(Math.max(text.length, name.length) / 3));
    // So much it is at least, and a text may be endless.
    if (Math.abs(text.length - name.length) > allowed || text.length > LONGEST_WORD) continue;
    const distance = editDistance(text.toLowerCase(), name.toLowerCase());
    if (distance <= allowed && distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours between two words. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cell = (di: number, dj: number) => (di === 0 ? row : rows[i - di])?.[j - dj] ?? Number.POSITIVE_INFINITY;
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(cell(1, 0) + 1, cell(0, 1) + 1, cell(1, 1) + cost, swapped ? cell(2, 2) + 1 : Infinity));
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? Number.POSITIVE_INFINITY;
}
