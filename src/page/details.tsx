/** What is chosen: its facts, what can be done, and one of its views. */
import { useEffect, useRef } from 'preact/hooks';
import type { FeedRow } from '../http/feed-message.ts';
import { Actions } from './actions.tsx';
import { Logs } from './logs.tsx';
import { exitPhrase, phraseOf, toneOf } from './phrase.ts';
import { type Chosen, hashOf, VIEWS, type View } from './route.ts';
import type { Known } from './store.ts';
import { Timeline } from './timeline.tsx';
import { Why } from './why.tsx';

export type DetailsProps = {
  readonly chosen: Chosen;
  readonly rows: readonly FeedRow[];
  readonly about: NonNullable<Known['about']>;
  readonly now: number;
  readonly close: () => void;
};

export function Details({ chosen, rows, about, now, close }: DetailsProps) {
  const { name, view } = chosen;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  const first = rows[0];
  const isService = first?.service === name;
  const has: Readonly<Record<View, boolean>> = {
    logs: true,
    timeline: about.hasTimeline,
    why: about.hasWhy && !isService,
  };
  const shown = has[view] ? view : 'logs';
  return (
    <section class="details" aria-labelledby="chosen">
      <div class="bar">
        <h2 id="chosen" ref={heading} tabIndex={-1}>
          {name}
        </h2>
        <button type="button" class="close" onClick={close} aria-label={`Close ${name}`}>
          ×
        </button>
      </div>
      {first === undefined && <p class="empty">There is no {name} any more.</p>}
      {first !== undefined && !isService && <Facts row={first} now={now} />}
      {isService && (
        <p class="phrase dim">
          {rows.filter(({ ready }) => ready).length} of {rows.length} ready
        </p>
      )}
      {first !== undefined && <Actions name={name} canAct={about.canAct} />}
      <nav aria-label={`Views of ${name}`}>
        {VIEWS.filter((one) => has[one]).map((one) => (
          <a key={one} href={hashOf(name, one)} aria-current={one === shown ? 'page' : undefined}>
            {TITLES[one]}
          </a>
        ))}
      </nav>
      {shown === 'logs' && <Logs name={name} isService={isService} />}
      {shown === 'timeline' && <Timeline service={first?.service ?? name} />}
      {shown === 'why' && <Why instance={name} />}
    </section>
  );
}

const TITLES: Readonly<Record<View, string>> = { logs: 'Logs', timeline: 'Timeline', why: 'Why' };

function Facts({ row, now }: { readonly row: FeedRow; readonly now: number }) {
  const { pid, restarts, status, id } = row;
  const facts: readonly (readonly [string, string | number])[] = [
    ['Pid', pid ?? '–'],
    ['Restarts', restarts],
    ['Last exit', exitPhrase(row, now)],
    ...(status === null ? [] : [['Says', status] as const]),
    ...(id === null ? [] : [['Run', id] as const]),
  ];
  return (
    <>
      <p class={`phrase ${toneOf(row)}`}>{phraseOf(row, now)}</p>
      <dl>
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}
