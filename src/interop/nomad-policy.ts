/** Restart and rolling policies → Nomad's restart, reschedule and update blocks, within what it accepts. */
import { DEFAULT_RESTART, type ServiceSpec } from '../core/service.ts';
import { ownKeys } from './container.ts';
import { exactDuration, type Tell } from './export.ts';
import { attribute, block, type HclBody, type HclItem } from './hcl.ts';

/** Nomad refuses less, and attempts that don't fit into it. */
const LEAST_INTERVAL_MS = 5_000;
/** For fetching the image. */
const FETCH_MS = 60_000;

/** Both blocks: restarts on the same client, and no other client tried for what is never restarted. */
export function restartBlocks({ restart }: ServiceSpec, isBatch: boolean, tell: Tell): HclBody {
  const attempts = restart.policy === 'never' ? 0 : restart.limit;
  const interval = Math.max(LEAST_INTERVAL_MS, restart.windowMs, attempts * restart.minDelayMs);
  if (restart.policy === 'on-failure' && !isBatch)
    tell('restart: on-failure has no counterpart in a service job, which restarts after a success, too');
  if (ownKeys(restart, DEFAULT_RESTART, ['maxDelayMs']).length > 0)
    tell('restart: maxDelay has no counterpart in Nomad, whose delay does not grow');
  if (restart.policy !== 'always' && ownKeys(restart, DEFAULT_RESTART, ['successExitCodes']).length > 0)
    tell('restart: successExitCodes has no counterpart in Nomad: only 0 is a success');
  const body = [
    attribute('attempts', attempts),
    attribute('interval', exactDuration(interval)),
    attribute('delay', exactDuration(restart.minDelayMs)),
    attribute('mode', 'fail'),
  ];
  const never = block('reschedule', [], [attribute('attempts', 0), attribute('unlimited', false)]);
  return [block('restart', [], body), ...(restart.policy === 'never' ? [never] : [])];
}

/** A canary comes beside what runs; what follows it is replaced in place. */
export function updateBlock({ rolling, ready, instances }: ServiceSpec, tell: Tell): HclItem {
  const { maxSurge, maxUnavailable, minReadyMs } = rolling;
  const isBeside = maxSurge > 0;
  const keepsAll = isBeside && maxUnavailable === 0;
  const canary = keepsAll ? instances : Math.min(maxSurge, instances);
  if (keepsAll && instances > maxSurge)
    tell(
      `rolling: Nomad keeps every instance up only with as many canaries (${instances}); maxSurge ${maxSurge} has no counterpart`,
    );
  const healthyMs = (ready?.timeoutMs ?? 0) + minReadyMs + FETCH_MS;
  return block(
    'update',
    [],
    [
      attribute('max_parallel', Math.max(1, maxUnavailable)),
      attribute('canary', isBeside ? canary : 0),
      ...(isBeside ? [attribute('auto_promote', true)] : []),
      attribute('auto_revert', true),
      attribute('min_healthy_time', exactDuration(minReadyMs)),
      attribute('healthy_deadline', exactDuration(healthyMs)),
      attribute('progress_deadline', exactDuration(healthyMs + FETCH_MS)),
    ],
  );
}
