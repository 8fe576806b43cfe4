/** Occasions as an SVG picture: readable in light and dark, and read out bar by bar; pure. */
import { formatDuration } from '../core/duration.ts';
import type { Occasion } from '../core/occasion.ts';
import { type Bar, type Picture, pictureOf, type Row } from './timeline-picture.ts';

export type SvgOptions = {
  /** Pixels; default 960. */
  readonly width?: number;
  /** Epoch ms, for what is not over. */
  readonly now: number;
  /** Default true; without it the page has TIMELINE_STYLE itself. */
  readonly hasStyle?: boolean;
};

const ROW = 22;
const HEAD = 58;
const GAP = 18;
const NAMES = 190;
const NOTES = 230;
const MARGIN = 12;
/** Of the letters of the font, in px, rather too wide. */
const LETTER = 7.2;

/** A page may set the variables; without them the colours follow the system's scheme. @public (for pages that allow no inline style) */
export const TIMELINE_STYLE = `
.gsup-timeline{--bg:#fff;--fg:#1f2328;--dim:#59636e;--line:#d1d9e0;--grace:#0969da;--start:#1a7f37;--drain:#1b7c83;--hook:#57606a;--kill:#cf222e;--survivors:#9a6700;--output:#8c959f;--app:#8250df;background:var(--bg);font:12px ui-monospace,Menlo,Consolas,monospace}
@media (prefers-color-scheme:dark){.gsup-timeline{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#3d444d;--grace:#4493f8;--start:#3fb950;--drain:#39c5cf;--hook:#9198a1;--kill:#f85149;--survivors:#d29922;--output:#656c76;--app:#ab7df8}}
.gsup-timeline .paper{fill:var(--bg)}.gsup-timeline text{fill:var(--fg)}.gsup-timeline .dim{fill:var(--dim)}.gsup-timeline .title{font-weight:bold;font-size:13px}
.gsup-timeline .bad{fill:var(--kill)}.gsup-timeline .warn{fill:var(--survivors)}.gsup-timeline .good{fill:var(--start)}
.gsup-timeline .tick{stroke:var(--line)}.gsup-timeline .frame{fill:none;stroke:var(--dim);stroke-dasharray:4 3}
${(['grace', 'start', 'drain', 'hook', 'kill', 'survivors', 'output', 'app'] as const).map((kind) => `.gsup-timeline .${kind}{fill:var(--${kind})}`).join('')}
`.trim();

/** One SVG document; each bar has a `<title>`. */
export function timelineSvg(occasions: readonly Occasion[], { width = 960, now, hasStyle = true }: SvgOptions): string {
  const pictures = occasions.map((one) => pictureOf(one, now));
  let y = MARGIN;
  const blocks = pictures.map((picture) => {
    const block = pictureBlock(picture, y, width);
    y += block.height + GAP;
    return block.svg;
  });
  const height = Math.max(y - GAP + MARGIN, 2 * MARGIN);
  const label = pictures.map(({ title, outcome }) => [title, outcome].filter(Boolean).join(', ')).join('; ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="gsup-timeline" role="img" aria-label="${escaped(label || 'nothing happened yet')}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    ...(hasStyle ? [`<style>${TIMELINE_STYLE}</style>`] : []),
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...blocks,
    '</svg>',
    '',
  ].join('\n');
}

type Scale = { readonly width: number; x(ms: number): number };

function pictureBlock(picture: Picture, top: number, width: number): { readonly svg: string; readonly height: number } {
  const left = MARGIN + NAMES;
  const room = Math.max(100, width - left - NOTES - MARGIN);
  const x = (ms: number) => round(left + (Math.min(Math.max(ms, 0), picture.axisMs) / picture.axisMs) * room);
  const scale: Scale = { width, x };
  let y = top + HEAD;
  const rows = picture.rows.map((row) => {
    const svg = rowOf(row, y, scale, picture.axisMs);
    y += ROW * (row.below.length + (isEmpty(row) ? 0 : 1));
    return svg;
  });
  const when = `${new Date(picture.at).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const head = [
    text(MARGIN, top + 14, 'title', cut(picture.title, width - 200)),
    `<text x="${width - MARGIN}" y="${top + 14}" class="dim" text-anchor="end">${when}</text>`,
    text(MARGIN, top + 32, picture.tone === 'plain' ? 'dim' : picture.tone, cut(picture.outcome, width - 2 * MARGIN)),
  ];
  const ticks = ticksOf(picture.axisMs).map(
    (ms) =>
      `<line class="tick" x1="${x(ms)}" x2="${x(ms)}" y1="${top + HEAD - 8}" y2="${y}"/>${text(x(ms) + 2, top + HEAD - 10, 'dim', formatDuration(ms))}`,
  );
  return { svg: `<g>${[...head, ...ticks, ...rows].join('\n')}</g>`, height: y - top };
}

function rowOf(row: Row, top: number, scale: Scale, axisMs: number): string {
  const { label, depth, bars, frame, note, tone, below } = row;
  const own = isEmpty(row) ? 0 : 1;
  const noteX = scale.x(axisMs) + 8;
  const lines = below.map((line, index) =>
    text(
      MARGIN + 24,
      top + ROW * (own + index) + 14,
      tone === 'plain' ? 'dim' : tone,
      cut(line, scale.width - MARGIN * 2 - 24),
    ),
  );
  if (own === 0) return lines.join('\n');
  return [
    text(MARGIN + depth * 12, top + 14, depth === 0 ? 'name' : 'dim', cut(label, NAMES - depth * 12)),
    frame === null ? '' : frameOf(frame, top, scale, axisMs),
    ...bars.map((bar) => barOf(bar, top, scale, depth)),
    text(noteX, top + 14, tone === 'plain' ? 'dim' : tone, cut(note, NOTES)),
    ...lines,
  ]
    .filter(Boolean)
    .join('\n');
}

/** Open on the right where it ends beyond the axis. */
function frameOf(
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  top: number,
  { x }: Scale,
  axisMs: number,
): string {
  const [from, to, up, down] = [x(fromMs), x(toMs), top + 2, top + 18];
  const end = toMs > axisMs ? '' : ` V${up}`;
  return `<path class="frame" d="M${to} ${up} H${from} V${down} H${to}${end}"><title>grace period: ${formatDuration(toMs - fromMs)}</title></path>`;
}

function barOf({ kind, fromMs, toMs, title }: Bar, top: number, { x }: Scale, depth: number): string {
  const height = depth >= 2 ? 8 : 12;
  const width = Math.max(2, round(x(toMs) - x(fromMs)));
  return `<rect class="${kind}" x="${x(fromMs)}" y="${top + 10 - height / 2}" width="${width}" height="${height}" rx="1"><title>${escaped(title)}</title></rect>`;
}

function ticksOf(axisMs: number): readonly number[] {
  const digits = 10 ** Math.floor(Math.log10(Math.max(1, axisMs / 5)));
  const step = [1, 2, 5, 10].map((factor) => factor * digits).find((one) => axisMs / one <= 6) ?? digits * 10;
  return Array.from({ length: Math.floor(axisMs / step) + 1 }, (_, index) => index * step);
}

function isEmpty({ label, bars }: Row): boolean {
  return label === '' && bars.length === 0;
}

function text(x: number, y: number, kind: string, words: string): string {
  return `<text x="${round(x)}" y="${y}" class="${kind}">${escaped(words)}</text>`;
}

function cut(words: string, width: number): string {
  const most = Math.max(4, Math.floor(width / LETTER));
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

/** What no XML may have is U+FFFD in it. */
function escaped(words: string): string {
  return words
    .replace(/[^\P{Cc}\t\n\r]|\p{Cs}|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

function round(px: number): number {
  return Math.round(px * 10) / 10;
}
