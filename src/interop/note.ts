/** What of a foreign file has no counterpart here, or another meaning: a note with its place. */

export type Note = {
  /** As it is named in supervisor.yaml; `null`: the whole file. */
  readonly service: string | null;
  /** As it is written in the foreign file. */
  readonly key: string;
  readonly message: string;
};

/** Takes notes of one service. */
export type Noting = (key: string, message: string) => void;

/** A value for people, in one line that has an end. */
export function show(value: unknown): string {
  const text = json(value) ?? `a ${typeof value}`;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** `null` for what JSON can't have: a function, a circle. */
export function json(value: unknown): string | null {
  try {
    return JSON.stringify(value) ?? null;
  } catch {
    return null;
  }
}
