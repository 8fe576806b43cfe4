/** Why an instance is as it is: what `gsup why` says. */
import { useEffect, useState } from 'preact/hooks';
import { call, errorOf } from './connection.ts';

export function Why({ instance }: { readonly instance: string }) {
  const [text, setText] = useState('');
  useEffect(() => {
    const abort = new AbortController();
    const show = async (): Promise<void> => {
      const response = await call(`/api/why?instance=${encodeURIComponent(instance)}`, { signal: abort.signal });
      setText(response.ok ? wordsOf(await response.json()) : await errorOf(response));
    };
    show().catch((error: Error) => {
      if (!abort.signal.aborted) setText(error.message);
    });
    return () => abort.abort();
  }, [instance]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class="why" tabIndex={0} aria-label={`Why of ${instance}`}>
      <pre>{text}</pre>
    </section>
  );
}

function wordsOf(answer: { readonly text?: unknown }): string {
  return typeof answer.text === 'string' ? answer.text : JSON.stringify(answer, null, 2);
}
