/** What is chosen, as it stands behind the # of the address: `api:0/logs`. */
export const VIEWS = ['logs', 'timeline', 'why'] as const;
export type View = (typeof VIEWS)[number];

export type Chosen = {
  /** A service or an instance. */
  readonly name: string;
  readonly view: View;
};

export function chosenOf(hash: string): Chosen | null {
  const [name = '', last] = decodeURIComponent(hash.replace(/^#/, '')).split('/');
  if (name === '') return null;
  return { name, view: VIEWS.find((view) => view === last) ?? 'logs' };
}

export function hashOf(name: string, view: View = 'logs'): string {
  return `#${encodeURIComponent(name).replaceAll('%3A', ':')}${view === 'logs' ? '' : `/${view}`}`;
}
