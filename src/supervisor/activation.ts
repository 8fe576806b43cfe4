/** What this process was started with by a socket unit, as the services get it. */
import { type HandedIn, withHandedIn } from '../core/activation.ts';
import { formatAddress } from '../core/address.ts';
import type { SupervisorSpec } from '../core/service.ts';
import { handedIn } from '../host/handed-in.ts';

export type Activation = {
  readonly sockets: readonly HandedIn[];
  /** The spec with them; `notice` hears of those that no service gets. */
  claim(spec: SupervisorSpec, notice: (text: string) => void): SupervisorSpec;
};

/** The activation of this process. */
export function activationOf(environment: Readonly<Record<string, string | undefined>>): Activation {
  const { sockets, others } = handedIn(environment);
  return {
    sockets,
    claim: (spec, notice) => {
      for (const { fd, name } of others) notice(`descriptor ${fd} (${name}) is no listening socket: nobody gets it`);
      const claimed = withHandedIn(spec, sockets);
      for (const { fd, name, address } of claimed.unclaimed)
        notice(
          `the socket ${name} on ${formatAddress(address)} (descriptor ${fd}) goes to no service: call it as the service is called (FileDescriptorName=), or give the service "sockets" with that address`,
        );
      return claimed.spec;
    },
  };
}
