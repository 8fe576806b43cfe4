/** The page docs/recipes.md: the programs and reports that it shows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = join(import.meta.dirname, '../../docs/recipes.md');
const BLOCK = /^```(js|ts|json)\n(.*?)^```$/gms;

/** What a recipe shows: its heading ends with the name of the file. */
type Shown = { readonly program: string; readonly report: Readonly<Record<string, unknown>> };

/** By the name of the file. */
export function shownRecipes(): ReadonlyMap<string, Shown> {
  const sections = readFileSync(PAGE, 'utf8').split(/^## /m).slice(1);
  return new Map(
    sections.flatMap((section) => {
      const name = /^.*\(`(.+)`\)$/m.exec(section.split('\n')[0] ?? '')?.[1];
      if (name === undefined) return [];
      const blocks = [...section.matchAll(BLOCK)].map(([, kind = '', text = '']) => ({ kind, text }));
      const program = blocks.find(({ kind }) => kind !== 'json')?.text ?? '';
      const report = JSON.parse(blocks.find(({ kind }) => kind === 'json')?.text ?? '{}');
      return [[name, { program, report }] as const];
    }),
  );
}

export function shownReport(name: string): Shown['report'] {
  const shown = shownRecipes().get(name);
  if (shown === undefined) throw new Error(`docs/recipes.md has no recipe ${name}`);
  return shown.report;
}
