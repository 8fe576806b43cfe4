/** What to do after an end: one command or change; pure. */
import type { EndFacts } from './explain-end.ts';

/** What to do about an end of that kind. */
export function stepOf(facts: EndFacts, kind: string | null): string {
  const { holder, service, spec } = facts;
  switch (kind) {
    case 'port-held':
      return holder === null ? `gsup restart ${service}` : `kill ${holder.pid}, or give ${service} another port`;
    case 'module-missing':
      return `install what it needs in ${spec.cwd}, then: gsup restart ${service}`;
    case 'heap-full':
      return heapStep(facts);
    default:
      return logStep(facts);
  }
}

/** Where it may have said why. */
export function logStep({ instance, stderr }: EndFacts): string {
  return `gsup logs ${instance}${stderr.length === 0 ? '' : ' --stderr'} -n 100`;
}

export function heapStep({ isNode, service }: EndFacts): string {
  return isNode
    ? `raise its heap (NODE_OPTIONS=--max-old-space-size=MB in env of ${service}), or look for a leak`
    : `raise the heap of ${service}, or look for a leak`;
}
