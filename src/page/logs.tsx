/** The last lines of a service or an instance, searched and followed. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { LogEntry } from '../api/types.ts';
import { linesFrom } from './connection.ts';

const LINES = 500;
/** More are not drawn: the oldest go. */
const MOST_LINES = 2_000;
const DRAW_MS = 100;
const TYPING_MS = 300;
/** So near to the end new lines are scrolled to. */
const NEAR_PX = 40;

type Line = LogEntry & { readonly number: number };

export function Logs({ name, isService }: { readonly name: string; readonly isService: boolean }) {
  const [search, setSearch] = useState('');
  const [isFollowed, setFollowed] = useState(true);
  const { lines, problem } = useLines(name, useSettled(search), isFollowed);
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (box.current !== null && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  const scrolled = (): void => {
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = box.current ?? {};
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
  };
  return (
    <div class="logs">
      <div class="bar">
        <label class="search">
          <span class="hidden">Search the logs of {name}</span>
          <input
            type="search"
            placeholder="Search"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={isFollowed} onChange={(event) => setFollowed(event.currentTarget.checked)} />
          Follow
        </label>
      </div>
      {problem !== null && (
        <p class="red" role="alert">
          {problem}
        </p>
      )}
      <div
        class="lines"
        ref={box}
        role="log"
        aria-label={`Logs of ${name}`}
        aria-live="off"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        tabIndex={0}
        onScroll={scrolled}
      >
        {lines.length === 0 && problem === null && (
          <p class="empty">{search === '' ? 'nothing yet' : 'no line has it'}</p>
        )}
        {lines.map(({ number, at, instance, stream, line }) => (
          <p key={number} class={stream === 'stderr' ? 'stderr' : ''}>
            {at !== null && <time dateTime={new Date(at).toISOString()}>{clock(at)}</time>}
            {isService && <b>{instance}</b>}
            {stream === 'stderr' && <span class="hidden">stderr</span>}
            <span>{plain(line)}</span>
          </p>
        ))}
      </div>
    </div>
  );
}

function useLines(name: string, search: string, isFollowed: boolean) {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let all: Line[] = [];
    let number = 0;
    let timer: number | null = null;
    const draw = (): void => {
      timer = null;
      setLines(all);
    };
    const read = async (): Promise<void> => {
      const query = new URLSearchParams({ name, search, lines: String(LINES), follow: isFollowed ? '1' : '0' });
      for await (const entry of linesFrom<LogEntry>(`/api/logs?${query}`, { signal: abort.signal })) {
        all = [...(all.length < MOST_LINES ? all : all.slice(MOST_LINES / 10)), { ...entry, number: number++ }];
        timer ??= window.setTimeout(draw, DRAW_MS);
      }
      draw();
    };
    setLines([]);
    setProblem(null);
    read().catch((error: Error) => {
      if (!abort.signal.aborted) setProblem(error.message);
    });
    return () => {
      abort.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [name, search, isFollowed]);
  return { lines, problem };
}

/** The text once nobody types any more. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

function clock(at: number): string {
  const date = new Date(at);
  const two = (part: number) => String(part).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** Without the colours of terminals. */
function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins them
  return line.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '');
}
