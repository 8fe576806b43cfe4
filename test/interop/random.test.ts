/** Whatever the spec: exports that the schemas take, without a secret in them. */
import fc from 'fast-check';
import { parseToObject } from 'hcl2-parser';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { isSecret } from '../../src/core/secrets.ts';
import type { SupervisorSpec } from '../../src/core/service.ts';
import { exportCompose } from '../../src/interop/compose.ts';
import type { ExportOptions } from '../../src/interop/export.ts';
import { exportKubernetes } from '../../src/interop/kubernetes.ts';
import { exportNomad } from '../../src/interop/nomad.ts';
import { composeProblems, kubernetesProblems } from '../kit/platforms.ts';
import { anySpec } from '../kit/specs.ts';

const OPTIONS: ExportOptions = {
  image: null,
  namespace: 'prod',
  isBundle: false,
  stateful: [],
  workdir: '/app',
  source: { name: 'supervisor.yaml', folder: '/srv/shop', text: '', variables: {} },
};
const RUNS = { numRuns: 100 };

/** Some of the services are stateful. */
function optionsFor({ services }: SupervisorSpec): ExportOptions {
  return { ...OPTIONS, stateful: services.filter((_, index) => index % 2 === 1).map(({ name }) => name) };
}

test("every Kubernetes export is right by Kubernetes' schemas, and its names are unique", () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const { files } = exportKubernetes(spec, optionsFor(spec));
      for (const { text } of files) expect(kubernetesProblems(text)).toEqual([]);
      expect(new Set(files.map(({ name }) => name)).size).toBe(spec.services.length);
      for (const { name } of files) expect(name).toMatch(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.yaml$/);
    }),
    RUNS,
  );
});

test("every compose export is right by compose's schema", () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const { files } = exportCompose(spec, OPTIONS);
      for (const { text } of files) expect(composeProblems(text)).toEqual([]);
    }),
    RUNS,
  );
});

test('every Nomad export is read by an HCL parser', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      for (const { text } of exportNomad(spec, OPTIONS).files) {
        const [value, problem] = parseToObject(text);
        expect(problem).toBeNull();
        expect(Object.keys(value)).toEqual(['job']);
      }
    }),
    { numRuns: 50 },
  );
});

test('no export and no note has the value of a secret variable', () => {
  const secret = 'S3cr3t-Value/$x';
  fc.assert(
    fc.property(anySpec, fc.constantFrom('DB_PASSWORD', 'API_TOKEN', 'SECRET_KEY'), (spec, name) => {
      const services = spec.services.map((service) => ({
        ...service,
        env: {
          ...service.env,
          [name]: secret,
          DATABASE_URL: `postgres://me:${secret}@db/x`,
          PLAIN: `{"a": "${secret}"}`,
        },
        program: {
          kind: 'command' as const,
          argv: ['run', secret, `--x=${secret}`, '--token', secret] as [string, ...string[]],
        },
        stop: {
          ...service.stop,
          preStop: { argv: ['bye', `https://me:${secret}@host/`] as [string, ...string[]], timeoutMs: 1 },
        },
      }));
      expect(isSecret(name, secret)).toBe(true);
      for (const write of [exportKubernetes, exportCompose, exportNomad])
        expect(JSON.stringify(write({ ...spec, services }, OPTIONS))).not.toContain('S3cr3t');
    }),
    { numRuns: 50 },
  );
});

test('a pod has more time to end than drain delay, hook and grace period together', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const { files } = exportKubernetes(spec, OPTIONS);
      spec.services.forEach(({ stop }, index) => {
        const [workload] = parseAllDocuments(files[index]?.text ?? '');
        const seconds = Number(workload?.getIn(['spec', 'template', 'spec', 'terminationGracePeriodSeconds']));
        const needs = stop.drainDelayMs + (stop.preStop?.timeoutMs ?? 0) + stop.graceMs;
        expect(seconds * 1000).toBeGreaterThan(needs + 2_000);
      });
    }),
    { numRuns: 50 },
  );
});
