/** An imported configuration → the text of a supervisor.yaml, with its notes as comments at their places. */
import { Document, isMap, isScalar, isSeq, Scalar, visit } from 'yaml';
import type { ImportedConfig } from './config.ts';
import type { Note } from './note.ts';

/** Maps that stand in one line. */
const IN_ONE_LINE = ['defaults', 'sockets', 'ready', 'rolling', 'restart', 'stop', 'logs', 'limits', 'watch'];

/** What only quotes carry, and the letters that our own reader keeps for itself. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant
const UNPRINTABLE = /[\u0000-\u001F\u007F-\u009F\u2028\u2029\uD800-\uDFFF\uE0F0\uE0F1]/;

/** `title` is the first line. */
export function importedText(config: ImportedConfig, notes: readonly Note[], title: string): string {
  const document = new Document(config);
  visit(document, {
    Pair(_, { key, value }) {
      if (isSeq(value) || (isMap(value) && isScalar(key) && IN_ONE_LINE.includes(String(key.value)))) value.flow = true;
    },
    Scalar(key, node) {
      if (typeof node.value !== 'string' || key === 'key') return;
      // Variables of others are no variables of ours.
      const text = node.value.replaceAll('${', () => '$${');
      node.value = text;
      if (UNPRINTABLE.test(text)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  const ofFile = notes.filter(({ service }) => service === null).map(commentOf);
  document.commentBefore = [title, ...ofFile].map((line) => ` ${line}`).join('\n');
  for (const service of Object.keys(config.services)) {
    const own = notes.filter((note) => note.service === service).map(commentOf);
    const node = document.getIn(['services', service]);
    if (own.length > 0 && isMap(node)) node.comment = own.map((line) => ` ${line}`).join('\n');
  }
  return document.toString({ lineWidth: 0 });
}

function commentOf({ key, message }: Note): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a comment ends with its line
  return `${key}: ${message}`.replace(/[\u0000-\u001F\u007F-\u009F\u2028\u2029]/g, ' ');
}
