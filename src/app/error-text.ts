/** The text of an error: whatever was thrown, to have it told must not throw. */

/** As `String(error)`, also of what can't be made into one. */
export function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    // Without a prototype, or with a toString of its own that throws.
    return Object.prototype.toString.call(error);
  }
}

/** What an error says. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message || error.name) : textOf(error);
  } catch {
    return textOf(error);
  }
}

/** As Node shows an error that nobody caught. */
export function stackOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.stack ?? error) : textOf(error);
  } catch {
    return textOf(error);
  }
}
