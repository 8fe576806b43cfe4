/** What the Kubernetes documents of one thing share: name, labels, and the Service by which it is reached. */
import { basename } from 'node:path';
import type { Container } from './container.ts';
import type { ExportOptions } from './export.ts';
import { dnsName } from './names.ts';
import type { YamlMap } from './yaml.ts';

/** What the documents of one service share. */
export type Identity = {
  /** In Kubernetes. */
  readonly name: string;
  readonly metadata: YamlMap;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
};

/** Of the whole: the folder of the file. */
export function bundleName({ source }: ExportOptions): string {
  return dnsName(basename(source.folder) || 'gsup');
}

export function identityOf(name: string, { namespace, source }: ExportOptions): Identity {
  const selector = { 'app.kubernetes.io/name': name };
  const whole = dnsName(basename(source.folder) || 'gsup');
  const labels = { ...selector, 'app.kubernetes.io/part-of': whole };
  return { name, selector, labels, metadata: { name, ...(namespace === null ? {} : { namespace }), labels } };
}

/** `null`: there is nothing to reach. A StatefulSet needs a headless one in any case. */
export function serviceOf(id: Identity, ports: Container['ports'], isHeadless: boolean): YamlMap | null {
  if (ports.length === 0 && !isHeadless) return null;
  const list = ports.map(({ name, port }) => ({ name, port, targetPort: name }));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: id.metadata,
    spec: {
      clusterIP: isHeadless ? 'None' : undefined,
      selector: id.selector,
      ports: list.length === 0 ? undefined : list,
    },
  };
}
