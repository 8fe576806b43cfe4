/** What an export is made of and comes to: options, files, and notes of what has no counterpart. */

/** `notes` are whole lines for people: `api, web: nice has no counterpart in Kubernetes; …`. */
export type Exported = {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly notes: readonly string[];
};

export type ExportOptions = {
  /** Of every container; `null`: a placeholder, which a note tells. */
  readonly image: string | null;
  readonly namespace: string | null;
  /** One container with gsup as its first process, in place of one a service. */
  readonly isBundle: boolean;
  /** Services whose instances keep their names and volumes: Kubernetes' StatefulSet. */
  readonly stateful: readonly string[];
  /** Where the folder of the file is found in the image. */
  readonly workdir: string;
  readonly source: Source;
};

/** The file as it was read, with its folder; `variables` are what it may refer to. */
export type Source = {
  readonly name: string;
  readonly folder: string;
  readonly text: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
};

/** Takes notes as they are found; `service` is `null` for what concerns the whole file. */
export type Notes = { readonly service: string | null; readonly text: string }[];

/** Notes a thing of one service; what it returns is the same on one line, for a comment at its place. */
export type Tell = (text: string) => string;

export function teller(notes: Notes, service: string | null): Tell {
  return (text) => {
    const line = onOneLine(text);
    notes.push({ service, text: line });
    return line;
  };
}

/** A line a note, those that say the same of several services together, in the order in which they were told. */
export function noteLines(notes: Notes): readonly string[] {
  const services = new Map<string, Set<string>>();
  for (const { service, text } of notes) {
    const of = services.get(text) ?? new Set();
    services.set(text, service === null ? of : of.add(service));
  }
  return [...services].map(([text, of]) => (of.size === 0 ? text : `${[...of].join(', ')}: ${text}`));
}

/** What a user typed may hold line breaks, which would end a comment. */
function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

/** Whole seconds, rounded up, at least `least`: what most formats take. */
export function seconds(ms: number, least = 1): number {
  return Math.max(least, Math.ceil(ms / 1000));
}

/** `10s`, `1500ms`: exact, for formats that take units. */
export function exactDuration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
