/** Where a child finds what it is given from descriptor 3 on: what has a number of its own, and Node's channel behind it. */

const FIRST = 3;

export type Descriptors = {
  /** As spawn wants them, from 3 on. */
  readonly others: readonly ('ipc' | 'ignore' | number)[];
  /** The number of the channel's end in the child. */
  readonly channelFd: number;
};

/** `channel`: both ends of one of ours, or Node's own. */
export function layDescriptors(
  numbered: ReadonlyMap<number, number>,
  channel: readonly [number, number] | 'ipc' | null,
): Descriptors {
  const last = Math.max(FIRST - 1, ...numbered.keys());
  const others: ('ipc' | 'ignore' | number)[] = [];
  for (let fd = FIRST; fd <= last; fd++) others.push(numbered.get(fd) ?? 'ignore');
  if (channel === 'ipc') others.push('ipc');
  else if (channel !== null) others.push(...channel);
  return { others, channelFd: last + 1 };
}
