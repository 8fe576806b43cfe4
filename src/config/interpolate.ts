/** `${VAR}`, `${VAR:-default}` and `$${` in values. */

/** The brace at its end is optional: else the rest of a text without one would be searched from each begin again. */
export const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?(\})?/g;

export type Interpolated = { readonly text: string; readonly hasChanged: boolean; readonly unset: readonly string[] };

/** `unset` names the variables that have neither a value nor a default. */
export function interpolate(text: string, env: Readonly<Record<string, string | undefined>>): Interpolated {
  const unset: string[] = [];
  const result = text.replace(REFERENCE, (whole, name?: string, fallback?: string, end?: string) => {
    if (name === undefined) return '${';
    if (end === undefined) return whole.replaceAll('$${', '${');
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined && (value !== '' || fallback === undefined)) return value;
    if (fallback !== undefined) return fallback;
    unset.push(name);
    return name;
  });
  return { text: result, hasChanged: result !== text, unset };
}
