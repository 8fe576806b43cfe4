/** `${VAR}`, `${VAR:-default}` and `$${` in values. */

export type Interpolated = { readonly text: string; readonly hasChanged: boolean; readonly unset: readonly string[] };

/** `unset` names the variables that have neither a value nor a default. */
export function interpolate(text: string, env: Readonly<Record<string, string | undefined>>): Interpolated {
  const unset: string[] = [];
  const result = text.replace(
    /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_, name?: string, fallback?: string) => {
      if (name === undefined) return '${';
      const value = env[name];
      if (value !== undefined && (value !== '' || fallback === undefined)) return value;
      if (fallback !== undefined) return fallback;
      unset.push(name);
      return name;
    },
  );
  return { text: result, hasChanged: result !== text, unset };
}
