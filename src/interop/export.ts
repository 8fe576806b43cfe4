/** What an export gives: files in a format of others, and what has no counterpart there. */
export type Exported = {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  /** `api: watch has no counterpart in Kubernetes`. */
  readonly notes: readonly string[];
};
