/** Specs for tests: everything default but what a test is about. */
import {
  DEFAULT_LIVE,
  DEFAULT_LOGS,
  DEFAULT_RESTART,
  DEFAULT_ROLLING,
  DEFAULT_STOP,
  type LivePolicy,
  type ReadyPolicy,
  type RollingPolicy,
  type ServiceSpec,
} from '../../src/core/service.ts';

export type SpecOverrides = Partial<Omit<ServiceSpec, 'stop' | 'restart' | 'ready' | 'live' | 'rolling'>> & {
  ready?: (Partial<ReadyPolicy> & Pick<ReadyPolicy, 'check'>) | null;
  live?: (Partial<LivePolicy> & Pick<LivePolicy, 'check'>) | null;
  rolling?: Partial<RollingPolicy>;
  stop?: Partial<ServiceSpec['stop']>;
  restart?: Partial<ServiceSpec['restart']>;
};

export function serviceSpec({
  ready = null,
  live = null,
  rolling,
  stop,
  restart,
  ...rest
}: SpecOverrides = {}): ServiceSpec {
  return {
    name: 'api',
    program: { kind: 'command', argv: ['true'] },
    cwd: '/',
    env: {},
    envFiles: [],
    inheritEnv: true,
    instances: 1,
    dependsOn: {},
    ready: ready && { initialDelayMs: 0, intervalMs: 200, timeoutMs: 30_000, successThreshold: 1, ...ready },
    live: live && { ...DEFAULT_LIVE, ...live },
    sockets: [],
    rolling: { ...DEFAULT_ROLLING, ...rolling },
    restart: { ...DEFAULT_RESTART, ...restart },
    stop: { ...DEFAULT_STOP, ...stop },
    critical: false,
    memoryLimitBytes: null,
    watch: null,
    schedule: null,
    logs: DEFAULT_LOGS,
    user: null,
    group: null,
    umask: null,
    nice: null,
    ...rest,
  };
}
