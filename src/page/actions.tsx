/** Start, stop, restart, reload of what is chosen; what cuts connections is asked once more. */
import { useRef, useState } from 'preact/hooks';
import type { OperationLine } from '../api/types.ts';
import { recordMessage } from '../core/record.ts';
import { linesFrom } from './connection.ts';

const VERBS = ['start', 'stop', 'restart', 'reload'] as const;
type Verb = (typeof VERBS)[number];
const TITLES: Readonly<Record<Verb, string>> = { start: 'Start', stop: 'Stop', restart: 'Restart', reload: 'Reload' };
const ABOUT: Readonly<Record<'stop' | 'restart', string>> = {
  stop: 'It gets its stop signal and its grace period, and stays down until it is started.',
  restart: 'It is stopped and started again; a reload replaces it without a gap.',
};

type Props = { readonly name: string; readonly canAct: boolean };
type Going = { readonly text: string; readonly tone: '' | 'green' | 'red'; readonly isOver: boolean };

export function Actions({ name, canAct }: Props) {
  const [going, setGoing] = useState<Going | null>(null);
  const [asked, setAsked] = useState<'stop' | 'restart'>('stop');
  const dialog = useRef<HTMLDialogElement>(null);
  if (!canAct)
    return (
      <p class="hint">
        Read only: nothing can be done here without <code>http.token</code>.
      </p>
    );
  const isBusy = going !== null && !going.isOver;
  const run = async (verb: Verb): Promise<void> => {
    setGoing({ text: `${verb} of ${name} is under way`, tone: '', isOver: false });
    try {
      for await (const line of act(verb, name)) setGoing(goingOf(line, verb, name));
    } catch (error) {
      setGoing({ text: (error as Error).message, tone: 'red', isOver: true });
    }
  };
  const press = (verb: Verb): void => {
    if (verb === 'start' || verb === 'reload') return void run(verb);
    setAsked(verb);
    dialog.current?.showModal();
  };
  return (
    <div class="actions">
      {VERBS.map((verb) => (
        <button key={verb} type="button" disabled={isBusy} onClick={() => press(verb)}>
          {TITLES[verb]}
        </button>
      ))}
      <p class={`going ${going?.tone ?? ''}`} role="status">
        {going?.text ?? ''}
      </p>
      <dialog ref={dialog} aria-labelledby="really">
        <form
          method="dialog"
          onSubmit={(event) => {
            const { submitter } = event as unknown as SubmitEvent;
            if (submitter instanceof HTMLButtonElement && submitter.value === 'yes') void run(asked);
          }}
        >
          <h3 id="really">
            {TITLES[asked]} {name}?
          </h3>
          <p>{ABOUT[asked]}</p>
          <div class="choices">
            <button type="submit" value="no">
              Cancel
            </button>
            <button type="submit" value="yes" class="strong">
              {TITLES[asked]}
            </button>
          </div>
        </form>
      </dialog>
    </div>
  );
}

function act(verb: Verb, name: string): AsyncGenerator<OperationLine> {
  const headers = { 'content-type': 'application/json' };
  return linesFrom(`/api/${verb}`, { method: 'POST', headers, body: JSON.stringify({ names: [name] }) });
}

function goingOf(line: OperationLine, verb: Verb, name: string): Going {
  if (line.type === 'record') {
    const { record } = line;
    return { text: `${record.instance ?? record.service ?? ''} ${recordMessage(record)}`, tone: '', isOver: false };
  }
  if (line.type !== 'result') return { text: `${verb} of ${name} is under way`, tone: '', isOver: false };
  const { error, outcomes, exitStatus } = line;
  const told = outcomes
    .filter(({ isOk }) => exitStatus === 0 || !isOk)
    .map(({ instance, message }) => `${instance} ${message}`);
  const text =
    error ?? (told.length > 3 ? `${told.slice(0, 3).join('; ')} and ${told.length - 3} more` : told.join('; '));
  return { text, tone: exitStatus === 0 ? 'green' : 'red', isOver: true };
}
