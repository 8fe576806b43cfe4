/** Readiness and liveness → the one health check that Docker's engine has. */
import type { ServiceSpec } from '../core/service.ts';
import type { Container } from './container.ts';
import { exactDuration, type Tell } from './export.ts';
import { commandOfProbe, isSameProbe, needsOfProbe, type Probe } from './probe.ts';
import { plainText, type Text } from './references.ts';
import type { YamlMap, YamlValue } from './yaml.ts';

/** Readiness by its check often until `ready.timeout`, then liveness by its lengths; `undefined`: there is none to ask. */
export function healthcheckOf(
  service: ServiceSpec,
  container: Container,
  word: (text: Text) => YamlValue,
  tell: Tell,
): YamlMap | undefined {
  const probe = container.ready ?? container.live;
  if (probe === null) return undefined;
  tellLimits(service, container, probe, tell);
  const { ready, live } = service;
  const asksReady = container.ready !== null && ready !== null;
  const asksLive = container.live !== null && live !== null;
  return {
    test: commandOfProbe(probe, plainText(container.command[0])).map(word),
    interval: exactDuration(asksLive ? live.intervalMs : AFTERWARDS_MS),
    timeout: exactDuration(asksLive ? live.timeoutMs : Math.min(TRY_TIMEOUT_MS, ready?.timeoutMs ?? TRY_TIMEOUT_MS)),
    retries: asksLive ? live.failureThreshold : 3,
    start_period: asksReady
      ? exactDuration(ready.timeoutMs)
      : asksLive
        ? exactDuration(live.initialDelayMs)
        : undefined,
    start_interval: asksReady ? exactDuration(ready.intervalMs) : undefined,
  };
}

/** Once it is ready nothing is asked as often. */
const AFTERWARDS_MS = 10_000;
/** As src/probes/readiness.ts has it. */
const TRY_TIMEOUT_MS = 5_000;

function tellLimits({ ready }: ServiceSpec, container: Container, probe: Probe, tell: Tell): void {
  const needs = needsOfProbe(probe, plainText(container.command[0]));
  if (needs !== null) tell(`healthcheck: Docker runs it in the container, whose image needs ${needs}`);
  if (container.ready !== null && ready !== null) {
    tell('ready: start_interval needs Docker 25 or newer');
    if (ready.successThreshold > 1) tell('ready: successThreshold has no counterpart in compose');
    if (ready.initialDelayMs > 0)
      tell('ready: initialDelay has no counterpart in compose; failures within start_period do not count');
  }
  if (container.live === null) return;
  tell('live: Docker marks a container as unhealthy and does not restart it');
  if (container.ready !== null && !isSameProbe(container.ready, container.live))
    tell('live: compose has one health check; that of ready is asked, and its own is not');
}
