/** Objects → YAML that every reader takes alike: strings quoted where YAML 1.1 might see more in them, comments at their place. */
import { Document, isMap, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';

/** The lines of comment of a map, which stand at its end. */
export const COMMENT = Symbol('comment');
const STYLE = Symbol('style');

type Styled = { readonly [STYLE]: 'quoted' | 'literal'; readonly text: string };
export type YamlValue = string | number | boolean | Styled | readonly YamlValue[] | YamlMap;
/** What is `undefined` is left out. */
export type YamlMap = { readonly [key: string]: YamlValue | undefined; readonly [COMMENT]?: readonly string[] };

/** A string that is quoted even if it needn't be. */
export function quoted(text: string): Styled {
  return { [STYLE]: 'quoted', text };
}

/** A text of several lines, in a block where that keeps every letter. */
export function literal(text: string): Styled {
  return { [STYLE]: 'literal', text };
}

/** One document; `header` are the lines of comment above it. */
export function yamlText(value: YamlMap, header: readonly string[] = []): string {
  const document = new Document(null);
  document.contents = nodeOf(value) as Document['contents'];
  if (header.length > 0) document.commentBefore = comment(header);
  const text = escaped(document.toString({ lineWidth: 0, indentSeq: false, flowCollectionPadding: false }));
  return text.endsWith('\n') ? text : `${text}\n`;
}

function nodeOf(value: YamlValue): YAMLMap | YAMLSeq | Scalar {
  if (typeof value === 'string') return stringNode(value);
  if (typeof value !== 'object') return new Scalar(value);
  if (isStyled(value)) return value[STYLE] === 'quoted' ? doubleQuoted(value.text) : blockNode(value.text);
  if (isList(value)) return listNode(value);
  const map = new YAMLMap();
  for (const [key, one] of Object.entries(value)) {
    if (one !== undefined) map.items.push(new Pair(stringNode(key), nodeOf(one)));
  }
  if (map.items.length === 0) map.flow = true;
  const lines = value[COMMENT] ?? [];
  if (lines.length > 0) map.comment = comment(lines);
  return map;
}

function listNode(values: readonly YamlValue[]): YAMLSeq {
  const list = new YAMLSeq();
  list.items = values.map(nodeOf);
  // Commands read best on one line.
  list.flow = values.every((one) => typeof one === 'string' && one.length < 40) || list.items.length === 0;
  if (list.items.some((item) => isMap(item))) list.flow = false;
  return list;
}

/** Plain only what is a word in every version of YAML: not `yes`, `012`, `1:30`, `~`. */
function stringNode(text: string): Scalar {
  const isWord = /^-{0,2}[A-Za-z/][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*$/.test(text);
  const isMore = /^(y|n|yes|no|on|off|true|false|null)$|^-*e[-+]?\d/i.test(text);
  return isWord && !isMore ? new Scalar(text) : doubleQuoted(text);
}

function doubleQuoted(text: string): Scalar {
  const scalar = new Scalar(text);
  scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}

function blockNode(text: string): Scalar {
  if (!/^(?!\s)[\n\x20-\x7e\xa1-\u2027\u2030-\ud7ff\ue000-\ufdcf]+$/.test(text)) return doubleQuoted(text);
  const scalar = new Scalar(text);
  scalar.type = Scalar.BLOCK_LITERAL;
  return scalar;
}

function comment(lines: readonly string[]): string {
  return lines.map((line) => ` ${line}`).join('\n');
}

/** Such letters stand only between quotes; raw, YAML 1.1 takes some of them for line breaks. */
function escaped(text: string): string {
  const code = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replace(/[\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufeff\ufffe\uffff]/g, code);
}

function isStyled(value: object): value is Styled {
  return STYLE in value;
}

function isList(value: object): value is readonly YamlValue[] {
  return Array.isArray(value);
}
