/** Asks for the token. */
import { useEffect, useRef } from 'preact/hooks';
import { keepToken } from './connection.ts';

export function TokenForm({ isWrong, enter }: { readonly isWrong: boolean; readonly enter: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const take = (): void => {
    const token = input.current?.value.trim() ?? '';
    if (token === '') return;
    keepToken(token);
    enter();
  };
  return (
    <main class="token">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          take();
        }}
      >
        <h1>gsup</h1>
        <label for="token">Token</label>
        <input
          id="token"
          ref={input}
          type="password"
          autocomplete="off"
          required
          aria-invalid={isWrong}
          aria-describedby="about-token"
        />
        <p id="about-token" class={isWrong ? 'red' : ''} role={isWrong ? 'alert' : undefined}>
          {isWrong ? 'This is not the token. ' : ''}It is that of <code>http.token</code> in supervisor.yaml, and is
          kept until this tab is closed.
        </p>
        <button type="submit">Enter</button>
      </form>
    </main>
  );
}
