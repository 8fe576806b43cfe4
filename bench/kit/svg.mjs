// A picture of some rows: bars of gsup beside its peers, readable on light and dark ground, with no font of its own.

/** What tells most, in this order; what was not measured is left out. */
const PICTURED = [
  'ls.100',
  'memory.100',
  'start.running',
  'stop.gone',
  'logs.raw',
  'run.wall',
  'crash.failed',
  'throughput.fresh',
];
const WIDTH = 720;
const LABEL_WIDTH = 150;
const BAR = 14;
const LINE = 20;
const TITLE = 30;
const PAD = 16;
const VALUE_WIDTH = 110;
const NOTE_LENGTH = 110;

const STYLE = `text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .note { fill: #59636e; font-size: 11px } .own { fill: #1a7f37 } .peer { fill: #afb8c1 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .note { fill: #9198a1 } .own { fill: #3fb950 } .peer { fill: #57606a } }`;

export function picture(rows, machine) {
  const shown = PICTURED.flatMap((id) => rows.filter((row) => row.id === id && row.supervisors.gsup !== undefined));
  let y = PAD;
  const parts = [];
  for (const row of shown) {
    parts.push(barsOf(row, y));
    y += TITLE + LINE * Object.keys(row.supervisors).length + 8;
  }
  for (const line of linesOf(machine)) {
    y += 16;
    parts.push(`<text class="note" x="${PAD}" y="${y}">${escaped(line)}</text>`);
  }
  const height = y + PAD;
  const label = escaped(shown.map(({ title }) => title).join('; '));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${label}">
<style>${STYLE}</style>
${parts.join('\n')}
</svg>
`;
}

function barsOf(row, top) {
  const figures = Object.entries(row.supervisors).map(([name, own]) => ({ name, value: figureOf(row, own) }));
  const most = Math.max(...figures.map(({ value }) => value)) || 1;
  const widest = WIDTH - 2 * PAD - LABEL_WIDTH - VALUE_WIDTH;
  const better = row.isMoreBetter ? 'more is better' : 'less is better';
  const title = `<text class="title" x="${PAD}" y="${top + 16}">${escaped(titleOf(row))} <tspan class="note">${better}</tspan></text>`;
  const bars = figures.map(({ name, value }, at) => {
    const y = top + TITLE + at * LINE;
    const width = Math.max(1, (value / most) * widest).toFixed(1);
    const x = PAD + LABEL_WIDTH;
    return `<text x="${PAD}" y="${y + 11}">${escaped(name)}</text><rect class="${name === 'gsup' ? 'own' : 'peer'}" x="${x}" y="${y}" width="${width}" height="${BAR}" rx="2"/><text x="${x + Number(width) + 6}" y="${y + 11}">${escaped(textOf(row, value))}</text>`;
  });
  return [title, ...bars].join('\n');
}

/** Text of a picture does not wrap by itself. */
function linesOf(text) {
  const lines = [''];
  for (const part of text.split(/(?<=, )/)) {
    if (lines.at(-1).length + part.length > NOTE_LENGTH) lines.push('');
    lines[lines.length - 1] += part;
  }
  return lines;
}

function isRatio({ reference, isToPeer, isCount }) {
  return reference !== null && !isToPeer && !isCount;
}

function figureOf(row, { total, median, ratio }) {
  return isRatio(row) && ratio !== null ? ratio.median : (total ?? median);
}

function textOf(row, value) {
  return isRatio(row) ? `${value.toFixed(2)} ×` : `${value.toFixed(row.digits)} ${row.unit}`.trim();
}

function titleOf(row) {
  const text = isRatio(row) ? `${row.title}, × ${row.reference}` : row.title;
  return text.replaceAll('`', '').replaceAll('\\|', '|');
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);
}
