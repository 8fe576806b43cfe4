/** The page: what runs, live; and of what is chosen its facts, logs, timeline and reasons. */
import { render } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FeedRow } from '../http/feed-message.ts';
import { Details } from './details.tsx';
import { Header } from './header.tsx';
import { InstancesTable } from './instances-table.tsx';
import { type Chosen, chosenOf } from './route.ts';
import { Store } from './store.ts';
import { TokenForm } from './token-form.tsx';

const TICK_MS = 1_000;

function Page({ store }: { readonly store: Store }) {
  const known = useKnown(store);
  const now = useNow() + known.skewMs;
  const chosen = useChosen();
  const [filter, setFilter] = useState('');
  const [isOnlyOdd, setOnlyOdd] = useState(false);
  const shown = useMemo(
    () => known.rows.filter((row) => matches(row, filter) && (!isOnlyOdd || isOdd(row))),
    [known.rows, filter, isOnlyOdd],
  );
  useTitle(known.about === null ? 'gsup' : `${known.status} – gsup`);
  if (known.link === 'needs-token' || known.link === 'wrong-token')
    return <TokenForm isWrong={known.link === 'wrong-token'} enter={() => store.begin()} />;
  const rows =
    chosen === null ? [] : known.rows.filter(({ instance, service }) => [instance, service].includes(chosen.name));
  return (
    <>
      <Header known={known} now={now} leave={() => store.begin()} />
      <main class={chosen === null ? 'alone' : 'beside'}>
        <section class="list" aria-labelledby="instances">
          <div class="bar">
            <h2 id="instances">Instances</h2>
            <label class="search">
              <span class="hidden">Filter by name or state</span>
              <input
                type="search"
                placeholder="Filter"
                value={filter}
                onInput={(event) => setFilter(event.currentTarget.value)}
              />
            </label>
            <label class="check">
              <input
                type="checkbox"
                checked={isOnlyOdd}
                onChange={(event) => setOnlyOdd(event.currentTarget.checked)}
              />
              Only what is not well
            </label>
            <p class="count">
              {shown.length === known.rows.length ? known.rows.length : `${shown.length} of ${known.rows.length}`}
            </p>
          </div>
          <InstancesTable
            rows={shown}
            now={now}
            chosen={chosen?.name ?? null}
            isFiltered={shown.length < known.rows.length}
            isKnown={known.about !== null}
          />
        </section>
        {chosen !== null && known.about !== null && (
          <Details
            key={chosen.name}
            chosen={chosen}
            rows={rows}
            about={known.about}
            now={now}
            close={() => close(chosen)}
          />
        )}
      </main>
    </>
  );
}

/** Back to where it was opened from. */
function close({ name }: Chosen): void {
  location.hash = '';
  document.getElementById(`row-${name}`)?.focus();
}

function matches({ instance, state }: FeedRow, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => instance.toLowerCase().includes(word) || state.includes(word));
}

function isOdd({ state, waitingFor, lastExit, restarts }: FeedRow): boolean {
  if (state === 'stopped') return waitingFor.length > 0;
  if (state === 'exited') return lastExit?.code !== 0;
  return state !== 'running' || (restarts > 0 && lastExit !== null && Date.now() - lastExit.at < 60_000);
}

function useKnown(store: Store) {
  const [known, setKnown] = useState(store.known);
  const frame = useRef(0);
  useEffect(() => {
    // However much comes, it is drawn once a frame.
    const draw = (): void => {
      frame.current = 0;
      setKnown(store.known);
    };
    // What came before we listened.
    draw();
    return store.listen(() => {
      frame.current ||= document.hidden ? window.setTimeout(draw, TICK_MS) : requestAnimationFrame(draw);
    });
  }, [store]);
  return known;
}

function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function useChosen(): Chosen | null {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => setHash(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return useMemo(() => chosenOf(hash), [hash]);
}

function useTitle(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
}

const place = document.getElementById('page');
if (place !== null) {
  const store = new Store();
  store.begin();
  render(<Page store={store} />, place);
  addEventListener('keydown', (event) => {
    const chosen = chosenOf(location.hash);
    if (event.key === 'Escape' && chosen !== null && document.querySelector('dialog[open]') === null) close(chosen);
    if (event.key !== '/' || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    document.querySelector<HTMLInputElement>('.list input[type=search]')?.focus();
  });
}
