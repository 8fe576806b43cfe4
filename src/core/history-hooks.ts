/** What an app did within its phases: hooks as they began, and the steps of its report. */
import type { AppBar, AppStep } from './episode.ts';

type HookBar = { readonly fromMs: number; toMs: number | null; isCut: boolean };

const KINDS = { hooks: 'hook', tasks: 'task', workers: 'worker', states: 'state' } as const;
/** In which of the app's phases the hooks of a phase run. */
const PHASE_OF_HOOKS: Readonly<Record<string, string>> = { close: 'closing', flush: 'flushing' };

/** Each hook from the line in which it is named first until the line in which it isn't any more. */
export class HookBars {
  readonly #bars = new Map<string, HookBar>();

  hear(pending: Readonly<Record<string, unknown>> | null, ms: number): void {
    const names = listOf(pending?.['names']).flatMap((name) => (isHook(name) ? [name.slice('hook '.length)] : []));
    for (const [name, bar] of this.#bars) if (!names.includes(name)) bar.toMs ??= ms;
    for (const name of names) if (!this.#bars.has(name)) this.#bars.set(name, { fromMs: ms, toMs: null, isCut: false });
  }

  /** What has not ended until then never did. */
  end(ms: number): void {
    for (const bar of this.#bars.values()) {
      bar.isCut ||= bar.toMs === null;
      bar.toMs ??= ms;
    }
  }

  /** Those of the report, as far as it has the form that gsup/app writes; of hooks that it does not name, what was heard. */
  steps(report: Readonly<Record<string, unknown>>, app: readonly AppBar[]): readonly AppStep[] {
    const reported = this.#reported(report, app);
    const known = new Set(reported.map(({ kind, name }) => `${kind} ${name}`));
    const heard = [...this.#bars].filter(([name]) => !known.has(`hook ${name}`));
    const undone = listOf(report['undone']);
    const isUndone = (name: string) => undone.some((text) => String(text).startsWith(`hook "${name}"`));
    return [...heard.map(([name, bar]) => heardStep(name, bar, isUndone(name))), ...reported];
  }

  #reported(report: Readonly<Record<string, unknown>>, app: readonly AppBar[]): readonly AppStep[] {
    const begins = new Map(app.map(({ phase, fromMs }) => [phase, fromMs]));
    return Object.entries(KINDS).flatMap(([key, kind]) =>
      listOf(report[key]).flatMap((step): readonly AppStep[] => {
        const { name, ms, outcome = 'done', error = null, phase } = asMap(step);
        if (typeof name !== 'string' || typeof ms !== 'number') return [];
        const appPhase = kind === 'hook' ? (PHASE_OF_HOOKS[String(phase)] ?? '') : '';
        const fromMs = (kind === 'hook' ? this.#bars.get(name)?.fromMs : undefined) ?? begins.get(appPhase) ?? null;
        if (fromMs !== null) begins.set(appPhase, fromMs + ms);
        return [{ kind, name, fromMs, ms, outcome: String(outcome), error: typeof error === 'string' ? error : null }];
      }),
    );
  }
}

export function asMap(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** All that is known is whether it ended before the app, and whether the app calls it undone. */
function heardStep(name: string, { fromMs, toMs, isCut }: HookBar, isUndone: boolean): AppStep {
  const outcome = isCut ? 'cut off' : isUndone ? 'not done' : 'done';
  return { kind: 'hook', name, fromMs, ms: (toMs ?? fromMs) - fromMs, outcome, error: null };
}

function isHook(name: unknown): name is string {
  return typeof name === 'string' && name.startsWith('hook ');
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
