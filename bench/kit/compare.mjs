// What has become worse since a baseline: ratios, where there are any, because times are those of a machine.

const OWN = 'gsup';
/** Fewer tell nothing of a spread. */
const LEAST_SAMPLES = 3;

/**
 * `worse`, `same` and `better`: `{ id, title, before, now, allowed, digits, of }`; `skipped`: `{ id, why }`.
 * Worse is what has moved in the bad direction by more than the widths of both middle halves together.
 */
export function compare(baseline, results) {
  const known = new Map(baseline.rows.map((row) => [row.id, row]));
  const found = { worse: [], same: [], better: [], skipped: [] };
  for (const row of results.rows) {
    const verdict = compareRow(known.get(row.id), row);
    if (verdict.why === undefined) found[verdict.is].push(verdict);
    else found.skipped.push(verdict);
  }
  return found;
}

function compareRow(before, row) {
  const why = obstacle(before, row);
  if (why !== null) return { id: row.id, why };
  const [was, is] = [figureOf(before), figureOf(row)];
  const allowed = was.iqr + is.iqr;
  const worseBy = row.isMoreBetter ? was.median - is.median : is.median - was.median;
  return {
    is: worseBy > allowed ? 'worse' : -worseBy > allowed ? 'better' : 'same',
    id: row.id,
    title: row.title,
    of: row.supervisors[OWN].ratio === null || row.isCount ? row.unit : `× ${row.reference}`,
    before: was.median,
    now: is.median,
    allowed,
    digits: 3,
  };
}

/** Why two rows can not be held against each other. */
function obstacle(before, row) {
  if (row.supervisors[OWN] === undefined) return 'not measured now';
  if (before?.supervisors[OWN] === undefined) return 'not in the baseline';
  if (row.isCount) return null;
  const isRatio = ({ supervisors }) => supervisors[OWN].ratio !== null;
  if (isRatio(before) !== isRatio(row) || before.reference !== row.reference)
    return `its reference is missing or another one (${before.reference} then, ${row.reference} now)`;
  const least = Math.min(figureOf(before).samples.length, figureOf(row).samples.length);
  return least < LEAST_SAMPLES ? `${least} samples are too few` : null;
}

function figureOf({ isCount, supervisors: { [OWN]: own } }) {
  return isCount ? { median: own.total, iqr: 0, samples: own.samples } : (own.ratio ?? own);
}

/** For people: what was compared, and what has become worse. */
export function comparisonText({ worse, same, better, skipped }) {
  const line = ({ id, title, of, before, now, allowed, digits }) =>
    `  ${id}: ${before.toFixed(digits)} → ${now.toFixed(digits)} ${of} (spread ${allowed.toFixed(digits)}): ${title}`;
  const part = (head, lines) => (lines.length === 0 ? [] : [head, ...lines]);
  return [
    `compared ${worse.length + same.length + better.length} rows: ${worse.length} worse, ${same.length} within the spread, ${better.length} better`,
    ...part('worse by more than the spread:', worse.map(line)),
    ...part('better by more than the spread:', better.map(line)),
    ...part('within the spread:', same.map(line)),
    ...part(
      'not compared:',
      skipped.map(({ id, why }) => `  ${id}: ${why}`),
    ),
  ].join('\n');
}
