/** What is around `gsup run` and is looked at only where it is: systemd, its socket units, its limits. */
import { stopBudget } from '../core/budget.ts';
import type { SupervisorSpec } from '../core/service.ts';
import type { Activation } from '../supervisor/activation.ts';
import { systemClock } from '../supervisor/clock.ts';
import type { Journal } from '../supervisor/journal.ts';
import type { openReporter } from '../supervisor/reporter.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import type { ForegroundOptions } from './main.ts';

export type Reporter = NonNullable<Awaited<ReturnType<typeof openReporter>>>;

/** What a socket unit hands in; loaded only then. */
export async function activationIn(
  environment: ForegroundOptions['environment'],
  journal: Journal,
): Promise<{ readonly sockets: Activation['sockets']; claim(spec: SupervisorSpec): SupervisorSpec }> {
  if (!environment['LISTEN_PID']) return { sockets: [], claim: (spec: SupervisorSpec) => spec };
  const { activationOf } = await import('../supervisor/activation.ts');
  const { sockets, claim } = activationOf(environment);
  const notice = (reason: string) => journal.write({ phase: 'notice', level: 'warn', reason }, systemClock.now());
  return { sockets, claim: (spec: SupervisorSpec) => claim(spec, notice) };
}

/** Systemd around us, or `null`; loaded only then. */
export async function reporterOf(
  environment: ForegroundOptions['environment'],
  supervisor: Supervisor,
  journal: Journal,
): Promise<Reporter | null> {
  if (!environment['NOTIFY_SOCKET']) return null;
  const { openReporter: open } = await import('../supervisor/reporter.ts');
  const onProblem = (reason: string) => journal.write({ phase: 'notice', level: 'warn', reason }, systemClock.now());
  return open({ environment, state: () => supervisor.state, isPatient: true, onProblem });
}

/** By which somebody tells how long it waits before it kills. */
const TELLING = ['GSUP_OUTER_LIMIT', 'TERMINATION_GRACE_PERIOD_SECONDS', 'INVOCATION_ID'];

/** How the plan of a stop stands to the limit around it, where there is one. */
export async function tellBudget(
  { spec, environment, outerMs }: ForegroundOptions,
  notice: (text: string, level: 'info' | 'warn') => void,
): Promise<void> {
  if (outerMs === null && !TELLING.some((name) => environment[name])) return;
  const [{ namedLimit, outerLimitOf }, { budgetText, budgetWarnings }] = await Promise.all([
    import('../supervisor/outer-limit.ts'),
    import('../view/budget.ts'),
  ]);
  const outer = outerMs === null ? await outerLimitOf(environment) : namedLimit(outerMs);
  if (outer === null) return;
  const budget = stopBudget(spec);
  notice(`stop budget: ${budgetText(budget, outer)}`, 'info');
  for (const warning of budgetWarnings(budget, outer)) notice(warning, 'warn');
}
