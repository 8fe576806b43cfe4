/** The last stops and starts of a service as a picture: drawn by gsup, made larger and smaller here. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { call, errorOf } from './connection.ts';

const [SMALLEST, LARGEST, STEP] = [1, 16, 1.5];

export function Timeline({ service }: { readonly service: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [zoom, setZoom] = useState(1);
  useEffect(() => {
    const abort = new AbortController();
    const show = async (): Promise<void> => {
      const response = await call(`/api/timeline?service=${encodeURIComponent(service)}`, { signal: abort.signal });
      if (response.ok) draw(place.current, await response.text());
      else setProblem(await errorOf(response));
    };
    setProblem(null);
    show().catch((error: Error) => {
      if (!abort.signal.aborted) setProblem(error.message);
    });
    return () => abort.abort();
  }, [service]);
  useEffect(() => {
    if (place.current !== null) place.current.style.width = `${zoom * 100}%`;
  }, [zoom]);
  const by = (factor: number) => setZoom(Math.min(LARGEST, Math.max(SMALLEST, zoom * factor)));
  return (
    <div class="timeline">
      <div class="bar">
        <button type="button" onClick={() => by(1 / STEP)} disabled={zoom <= SMALLEST} aria-label="Smaller">
          −
        </button>
        <button type="button" onClick={() => by(STEP)} disabled={zoom >= LARGEST} aria-label="Larger">
          +
        </button>
        <button type="button" onClick={() => setZoom(1)} disabled={zoom === 1}>
          Fit
        </button>
      </div>
      {problem !== null && (
        <p class="empty" role="status">
          {problem}
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class="picture" tabIndex={0} aria-label={`Timeline of ${service}`}>
        <div ref={place} />
      </section>
    </div>
  );
}

const STYLE = /<style[^>]*>(?:\s*<!\[CDATA\[)?([\s\S]*?)(?:\]\]>\s*)?<\/style>/g;

/** Into a shadow root, with its styles as a sheet: the page's policy allows none that stand inside. */
function draw(place: HTMLElement | null, text: string): void {
  const sheets = [':host { display: block } svg { width: 100%; height: auto; display: block }'];
  for (const [, style = ''] of text.matchAll(STYLE)) sheets.push(style);
  const bare = text.replace(STYLE, '').replaceAll(' style="', ' data-style="');
  const parsed = new DOMParser().parseFromString(bare, 'image/svg+xml').documentElement;
  if (place === null || parsed.localName !== 'svg') return;
  for (const odd of parsed.querySelectorAll('script, foreignObject')) odd.remove();
  const svg = document.adoptNode(parsed);
  for (const styled of svg.querySelectorAll<SVGElement>('[data-style]'))
    styled.style.cssText = styled.dataset['style'] ?? '';
  const root = place.shadowRoot ?? place.attachShadow({ mode: 'open' });
  root.adoptedStyleSheets = sheets.map((sheet) => {
    const made = new CSSStyleSheet();
    made.replaceSync(sheet);
    return made;
  });
  root.replaceChildren(svg);
}
