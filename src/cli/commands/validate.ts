/** `gsup validate`: whether a file is right, and whether its stops fit into their limits. */
import { existsSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { execa } from 'execa';
import { formatDiagnostics } from '../../config/diagnostic.ts';
import { type StopBudget, stopBudget } from '../../core/budget.ts';
import { formatDuration, parseDuration } from '../../core/duration.ts';
import { EXIT, GsupError, usageError } from '../../core/error.ts';
import type { SupervisorSpec } from '../../core/service.ts';
import { readServices } from '../config-file.ts';

const DEFAULT_FILES = ['yaml', 'yml', 'json']
  .map((extension) => `supervisor.${extension}`)
  .concat(['js', 'mjs', 'ts'].map((extension) => `supervisor.config.${extension}`));

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
  const file = named ?? DEFAULT_FILES.find((name) => existsSync(name));
  if (file === undefined) {
    throw new GsupError('there is no supervisor.yaml here', {
      exitStatus: EXIT.config,
      hint: 'name a file, or write one with "gsup init"',
    });
  }
  const outerMs = flags.outer === undefined ? await outerLimitOfSystemd() : parseDuration(flags.outer);
  if (flags.outer !== undefined && outerMs === null)
    throw usageError(`--outer "${flags.outer}" is no duration`, 'expected 30s or 1m30s');
  const result = await readServices(file, { envName: flags.env });
  const colour = process.stderr.isTTY === true && !process.env['NO_COLOR'];
  if (!result.ok) {
    if (flags.json === true)
      process.stdout.write(`${JSON.stringify({ ok: false, problems: result.problems }, null, 2)}\n`);
    else process.stderr.write(`${formatDiagnostics(result.problems, { colour })}\n`);
    process.exitCode = EXIT.config;
    return;
  }
  const budget = stopBudget(result.spec);
  const warnings = [...result.warnings.map(({ message }) => message), ...budgetWarnings(budget, outerMs)];
  if (flags.json === true) {
    const { services } = result.spec;
    process.stdout.write(
      `${JSON.stringify({ ok: true, services, budget: { ...budget, outerMs }, warnings }, null, 2)}\n`,
    );
    return;
  }
  process.stdout.write(`${describeServices(result.spec)}\n${describeBudget(budget, outerMs)}\n`);
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
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

function describeBudget({ waves, pathMs, timeoutMs, fits }: StopBudget, outerMs: number | null): string {
  const path = waves.map(({ services, needMs }) => `${services.join('+')} ${formatDuration(needMs)}`).join(' → ');
  const own =
    timeoutMs === null ? '' : ` ${fits ? '≤' : '>'} shutdown.timeout ${formatDuration(timeoutMs)} ${fits ? '✓' : '✗'}`;
  const total = Math.min(pathMs, timeoutMs ?? pathMs);
  const outer =
    outerMs === null
      ? ''
      : ` ${total < outerMs ? '<' : '≥'} outer ${formatDuration(outerMs)} ${total < outerMs ? '✓' : '✗'}`;
  return `stop budget: ${path} = ${formatDuration(pathMs)}${own}${outer}`;
}

function budgetWarnings({ pathMs, timeoutMs, fits }: StopBudget, outerMs: number | null): string[] {
  const warnings: string[] = [];
  if (!fits && timeoutMs !== null) {
    warnings.push(
      `warning: stopping may need ${formatDuration(pathMs)}, shutdown.timeout is ${formatDuration(timeoutMs)}: grace periods will be cut; raise it, or shorten them`,
    );
  }
  const total = Math.min(pathMs, timeoutMs ?? pathMs);
  if (outerMs !== null && total >= outerMs) {
    warnings.push(
      `warning: stopping may need ${formatDuration(total)}, the outer limit is ${formatDuration(outerMs)}: gsup itself will be killed; raise the outer limit, or set shutdown.timeout below it`,
    );
  }
  return warnings;
}

/** TimeoutStopUSec of the unit that we run in; `null` when there is none or systemd does not answer. */
async function outerLimitOfSystemd(): Promise<number | null> {
  if (process.env['INVOCATION_ID'] === undefined) return null;
  const unit = /\/([^/\n]+\.service)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (unit === undefined) return null;
  const { stdout } = await execa('systemctl', ['show', '-p', 'TimeoutStopUSec', '--value', unit], {
    timeout: 1_000,
    reject: false,
  });
  return parseDuration(stdout?.replace(/\bmin\b/g, 'm').replace(/\s+/g, '') ?? '');
}
