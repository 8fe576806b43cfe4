/** The top: what this is, how everything is in one phrase, whether what is shown is live. */
import { formatDuration } from '../core/duration.ts';
import { hasToken, keepToken } from './connection.ts';
import type { Known } from './store.ts';

export function Header({
  known,
  now,
  leave,
}: {
  readonly known: Known;
  readonly now: number;
  readonly leave: () => void;
}) {
  const { about, status, isStopping, link } = known;
  return (
    <header>
      <h1>gsup</h1>
      <p class={`whole ${isStopping ? 'yellow' : toneOf(status)}`} role="status">
        {about === null ? 'connecting' : status}
      </p>
      {about !== null && (
        <p class="about">
          {about.place} <span>version {about.version}</span> <span>up {formatDuration(now - about.startedAt)}</span>
        </p>
      )}
      <p class={`link ${link}`} role="status">
        {link === 'live' ? 'live' : link === 'lost' ? 'not connected, trying again' : 'connecting'}
      </p>
      {hasToken() && (
        <button
          type="button"
          onClick={() => {
            keepToken(null);
            leave();
          }}
        >
          Forget token
        </button>
      )}
    </header>
  );
}

function toneOf(status: string): string {
  const [, ready, wanted] = /^(\d+) of (\d+) ready/.exec(status) ?? [];
  if (/failed: /.test(status)) return 'red';
  return ready === wanted ? 'green' : 'yellow';
}
