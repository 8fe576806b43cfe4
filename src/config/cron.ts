/** Whether a text is a cron expression. */
import { Cron } from 'croner';

/** What is wrong with it; `null`: nothing. */
export function cronProblem(expression: string): string | null {
  try {
    const next = new Cron(expression, { paused: true }).nextRun();
    return next === null ? 'it never comes' : null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Cron\w+: /, '') : String(error);
  }
}
