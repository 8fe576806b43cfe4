/** The environment of this command, as a daemon keeps it for services. */

/** Every variable that is set. */
export function ownEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(entries);
}
