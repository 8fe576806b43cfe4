/** Names as other systems allow them: made of ours, and still different from each other. */

/** Letters, digits and `-`, beginning with a letter: a name in DNS (RFC 1035), with room for a suffix. */
export function dnsName(text: string): string {
  const plain = text.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const letterFirst = /^-*[a-z]/.test(plain) ? plain : `s-${plain}`;
  return trimmed(letterFirst.replace(/^-+/, ''), LONGEST_NAME) || 's';
}

/** At most 15 letters, digits and single `-`, with a letter among them (RFC 6335): the name of a port. */
export function portName(text: string): string {
  const plain = text.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const lettered = /[a-z]/.test(plain) ? plain : `p-${plain}`;
  return trimmed(lettered.replace(/-+/g, '-').replace(/^-/, ''), LONGEST_PORT) || 'port';
}

/** Name → its name there; a second one that comes out the same gets a number. */
export function uniqueNames(
  names: readonly string[],
  nameOf: (name: string) => string,
  longest: number,
): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  return new Map(
    names.map((name) => {
      const wanted = nameOf(name);
      let given = wanted;
      for (let n = 2; taken.has(given); n++) given = `${trimmed(wanted, longest - `-${n}`.length)}-${n}`;
      taken.add(given);
      return [name, given];
    }),
  );
}

/** A name in DNS may have 63; the names of pods and secrets are made of it. */
export const LONGEST_NAME = 45;
export const LONGEST_PORT = 15;

function trimmed(text: string, longest: number): string {
  return text.slice(0, longest).replace(/-+$/, '');
}
