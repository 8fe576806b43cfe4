/** `gsup validate`: whether a file is right, and whether its stops fit into their limits. */
import { Command, Option } from 'commander';
import { firstProblems, formatDiagnostics } from '../../config/diagnostic.ts';
import { stopBudget } from '../../core/budget.ts';
import { formatDuration } from '../../core/duration.ts';
import { EXIT } from '../../core/error.ts';
import type { SupervisorSpec } from '../../core/service.ts';
import { namedLimit, outerLimitOf } from '../../supervisor/outer-limit.ts';
import { budgetText, budgetWarnings } from '../../view/budget.ts';
import { defaultFile, readServices } from '../config-file.ts';
import { durationOf } from '../duration.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';

type Flags = { outer?: string; env?: string; json?: boolean };

export function validateCommand(): Command {
  return new Command('validate')
    .summary('check a file and its stop budget')
    .description('Checks a file (default: ./supervisor.yaml), and whether a whole stop fits into its limits.')
    .argument('[file]')
    .option('--outer <duration>', "limit of what stops gsup, e.g. systemd's TimeoutStopSec")
    .addOption(new Option('--env <name>').hideHelp())
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  gsup validate supervisor.yaml --outer 30s')
    .action(validate);
}

async function validate(named: string | undefined, flags: Flags): Promise<void> {
  const file = named ?? defaultFile();
  const givenMs = durationOf('--outer', flags.outer);
  const outer = givenMs === null ? await outerLimitOf(process.env) : namedLimit(givenMs);
  const result = await readServices(file, { envName: flags.env });
  const colour = process.stderr.isTTY === true && !process.env['NO_COLOR'];
  if (!result.ok) {
    if (flags.json === true) toStdout(jsonText({ ok: false, problems: firstProblems(result.problems) }));
    else toStderr(`${formatDiagnostics(result.problems, { colour })}\n`);
    process.exitCode = EXIT.config;
    return;
  }
  const budget = stopBudget(result.spec);
  const warnings = [
    ...result.warnings.map(({ message }) => message),
    ...budgetWarnings(budget, outer).map((text) => `warning: ${text}`),
  ];
  if (flags.json === true) {
    const { services } = result.spec;
    toStdout(jsonText({ ok: true, services, budget: { ...budget, outerMs: outer?.limitMs ?? null }, warnings }));
    return;
  }
  toStdout(`${describeServices(result.spec)}\nstop budget: ${budgetText(budget, outer)}\n`);
  for (const warning of warnings) toStderr(`${warning}\n`);
}

function describeServices({ services }: SupervisorSpec): string {
  const width = Math.max(...services.map(({ name }) => name.length));
  return services
    .map(({ name, instances, dependsOn, ready, restart, stop }) => {
      const needs = Object.entries(dependsOn).map(([other, condition]) => `${other} ${condition}`);
      const facts = [
        `${instances} ${instances === 1 ? 'instance' : 'instances'}`,
        ready === null ? null : `ready by ${ready.check.kind}`,
        `restart ${restart.policy}`,
        `grace ${formatDuration(stop.graceMs)}`,
        needs.length === 0 ? null : `after ${needs.join(', ')}`,
      ];
      return `${name.padEnd(width)}  ${facts.filter((fact) => fact !== null).join(', ')}`;
    })
    .join('\n');
}
