/** How long whoever stops us (systemd, Kubernetes, Docker) waits before it kills: asked of it, or told by the environment. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { OuterLimit } from '../core/budget.ts';
import { parseDuration } from '../core/duration.ts';

const ASK_CEILING_MS = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * GSUP_OUTER_LIMIT (a duration), TERMINATION_GRACE_PERIOD_SECONDS (as a Kubernetes manifest sets it, itself or by the
 * downward API from an annotation), else TimeoutStopUSec of the systemd unit that we run in; `null`: nobody tells.
 */
export async function outerLimitOf(environment: Environment): Promise<OuterLimit | null> {
  const { GSUP_OUTER_LIMIT: own, TERMINATION_GRACE_PERIOD_SECONDS: kubernetes } = environment;
  const ownMs = own === undefined ? null : parseDuration(own);
  if (ownMs !== null) return { name: 'outer', key: 'GSUP_OUTER_LIMIT', limitMs: ownMs };
  if (kubernetes !== undefined && /^\d+$/.test(kubernetes))
    return { name: 'kubernetes', key: 'terminationGracePeriodSeconds', limitMs: Number(kubernetes) * 1000 };
  return limitOfSystemd(environment);
}

/** Of `--outer`. */
export function namedLimit(limitMs: number): OuterLimit {
  return { name: 'outer', key: 'the outer limit', limitMs };
}

async function limitOfSystemd(environment: Environment): Promise<OuterLimit | null> {
  if (environment['INVOCATION_ID'] === undefined) return null;
  const unit = /\/([^/\n]+\.(?:service|scope))(?:\/[^\n]*)?$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (unit === undefined) return null;
  // Set for what a user's manager starts: systemd.exec(5).
  const scope = environment['MANAGERPID'] === undefined ? [] : ['--user'];
  const text = await ask('systemctl', [...scope, 'show', '-p', 'TimeoutStopUSec', '--value', unit]);
  const limitMs = parseDuration(text.replace(/\bmin\b/g, 'm').replace(/\s+/g, ''));
  return limitMs === null ? null : { name: 'systemd', key: 'TimeoutStopSec', limitMs };
}

/** What it prints; empty when it does not answer. */
function ask(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(file, [...args], { timeout: ASK_CEILING_MS }, (error, stdout) => resolve(error === null ? stdout : ''));
  });
}
