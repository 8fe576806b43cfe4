import { expect, test } from 'vitest';
import { row } from '../../bench/kit/row.mjs';
import { picture } from '../../bench/kit/svg.mjs';
import { filled, tablesOf } from '../../bench/kit/table.mjs';

const list = row({
  id: 'ls.100',
  title: 'ls',
  unit: 'ms',
  samples: { gsup: [60, 75, 90], PM2: [150, 150, 150] },
  reference: { name: '`node`', samples: [50, 50, 50] },
  goal: { ratio: { atMost: 1.4 } },
});
const begin = row({
  id: 'start.running',
  title: 'start',
  unit: 's',
  scale: 1000,
  samples: { gsup: [300], s6: [600] },
  reference: { peer: 's6' },
  goal: { value: { atMost: 0.35 } },
});

test('a table has medians with ends, ratios, the goal and whether it is met; a gap where a peer was not there', () => {
  expect(
    tablesOf([
      { title: '### The daemon', rows: [list, begin] },
      { title: '### Empty', rows: [] },
    ]),
  ).toBe(
    [
      '### The daemon',
      '',
      '|  | gsup | PM2 | s6 | gsup × | goal |  |',
      '|---|---|---|---|---|---|---|',
      '| ls, × `node` | 1.50 (1.20–1.80) | 3.00 |  |  | ≤ 1.4 × `node` | **missed** |',
      '| start, s | 0.30 |  | 0.60 | 0.50 s6 | ≤ 0.35 | met |',
    ].join('\n'),
  );
});

test('between the markers of a file only that part changes; without them all of it', () => {
  const page = 'head\n<!-- bench:begin -->\nold\n<!-- bench:end -->\ntail\n';
  expect(filled(page, 'new')).toBe('head\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\ntail\n');
  expect(filled(filled(page, 'new'), 'new')).toBe(filled(page, 'new'));
  expect(filled('anything', 'new')).toBe('new\n');
});

test('the picture has a bar for each supervisor, gsup in a color of its own, for light and dark ground', () => {
  const svg = picture([list, begin], 'Node <20>');
  expect(svg.match(/<rect class="own"/g)).toHaveLength(2);
  expect(svg.match(/<rect class="peer"/g)).toHaveLength(2);
  expect(svg).toContain('prefers-color-scheme: dark');
  expect(svg).toContain('Node &lt;20&gt;');
  expect(svg).toContain('ls, × node');
});
