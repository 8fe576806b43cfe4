/** Checks as container platforms can ask them: an address of the container, or a command in it. */
import type { Check } from '../core/service.ts';
import type { Tell } from './export.ts';
import { type Concealer, hasSecret, plainText, shellWord, type Text } from './references.ts';

export type Probe =
  | { readonly kind: 'http'; readonly url: URL }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'exec'; readonly words: readonly Text[] };

type Asking = {
  readonly key: 'ready' | 'live';
  readonly hidden: Concealer;
  readonly platform: string;
  readonly tell: Tell;
};

/** `null`: nothing there asks it, and that was told. */
export function probeOf(check: Check, { key, hidden, platform, tell }: Asking): Probe | null {
  switch (check.kind) {
    case 'tcp':
      return { kind: 'tcp', host: check.host, port: check.port };
    case 'exec':
      return { kind: 'exec', words: hidden.words(check.argv) };
    case 'http': {
      const url = new URL(check.url);
      const isOpen = url.username === '' && url.password === '' && !hasSecret(hidden.line(check.url));
      if (isOpen) return { kind: 'http', url };
      tell(
        `${key}: the address of the check holds a secret, which has no counterpart in ${platform}; give it an address without one, or exec`,
      );
      return null;
    }
    case 'log':
    case 'message':
    case 'notify':
    case 'fd':
      tell(
        key === 'ready'
          ? `ready: ${check.kind} has no counterpart in ${platform}; a container counts as ready when it runs: give it http, tcp or exec, or use --bundle`
          : `live: ${check.kind} (the watchdog) has no counterpart in ${platform}: give it http, tcp or exec, or use --bundle`,
      );
      return null;
  }
}

/** The words for Docker's engine, which has no probes over the network: it runs them in the container. */
export function commandOfProbe(probe: Probe, program: string): readonly Text[] {
  if (probe.kind === 'exec') return [['CMD'], ...probe.words];
  const isNode = /(^|\/)node(js)?$/.test(program);
  if (probe.kind === 'tcp') {
    const { host, port } = probe;
    const code = `require('net').connect(${port},${JSON.stringify(host)}).on('connect',()=>process.exit(0)).on('error',()=>process.exit(1))`;
    return words(isNode ? ['CMD', 'node', '-e', code] : ['CMD', 'nc', '-z', host, String(port)]);
  }
  const { href } = probe.url;
  const code = `fetch(${JSON.stringify(href)},{redirect:'manual'}).then((a)=>process.exit(a.status<400?0:1),()=>process.exit(1))`;
  // Busybox has wget, Debian's images have curl if any.
  const address = shellWord([href]);
  const line = `wget -q -O /dev/null ${address} || curl -fsS -o /dev/null ${address}`;
  return words(isNode ? ['CMD', 'node', '-e', code] : ['CMD-SHELL', line]);
}

/** What the words need in the image, for a note; `null`: nothing that isn't there anyway. */
export function needsOfProbe(probe: Probe, program: string): string | null {
  if (probe.kind === 'exec' || /(^|\/)node(js)?$/.test(program)) return null;
  return probe.kind === 'tcp' ? 'nc' : 'wget or curl';
}

function words(argv: readonly string[]): readonly Text[] {
  return argv.map((word) => [word]);
}

/** Whether two checks ask the same. */
export function isSameProbe(a: Probe, b: Probe): boolean {
  return describe(a) === describe(b);
}

function describe(probe: Probe): string {
  if (probe.kind === 'http') return probe.url.href;
  return probe.kind === 'tcp' ? `${probe.host}:${probe.port}` : JSON.stringify(probe.words.map(plainText));
}
