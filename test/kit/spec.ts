/** Specs for tests: everything default but what a test is about. */
import { DEFAULT_LOGS, DEFAULT_RESTART, DEFAULT_STOP, type ServiceSpec } from '../../src/core/service.ts';

export type SpecOverrides = Partial<Omit<ServiceSpec, 'stop' | 'restart'>> & {
  stop?: Partial<ServiceSpec['stop']>;
  restart?: Partial<ServiceSpec['restart']>;
};

export function serviceSpec({ stop, restart, ...rest }: SpecOverrides = {}): ServiceSpec {
  return {
    name: 'api',
    program: { kind: 'command', argv: ['true'] },
    cwd: '/',
    env: {},
    envFiles: [],
    inheritEnv: true,
    instances: 1,
    dependsOn: {},
    ready: null,
    restart: { ...DEFAULT_RESTART, ...restart },
    stop: { ...DEFAULT_STOP, ...stop },
    critical: false,
    memoryLimitBytes: null,
    logs: DEFAULT_LOGS,
    user: null,
    group: null,
    umask: null,
    nice: null,
    ...rest,
  };
}
