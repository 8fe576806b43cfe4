/** ANSI colours, by name. */

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Colour = keyof typeof CODES;
const OF_SERVICES: readonly Colour[] = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'red'];

/** `text` in a colour when `isAllowed`, as it is otherwise. */
export function paint(text: string, colour: Colour, isAllowed: boolean): string {
  return isAllowed ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/** The colour of the nth service. */
export function serviceColour(index: number): Colour {
  return OF_SERVICES[index % OF_SERVICES.length] ?? 'cyan';
}
