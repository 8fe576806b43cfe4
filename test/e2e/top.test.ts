import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { AS_IT_WAS, HAS_TMUX, Terminal } from '../kit/tmux.ts';

/** Says its lines, among them what does things to a terminal, and waits. */
const TALKER = `
console.log('up');
console.log('wide 日本語 \\u001b[31mred\\u001b[0m \\u001b[2J\\u001b[?1049l after');
process.on('SIGUSR2', () => console.log('heard it'));
setInterval(() => {}, 1_000);
`;

async function town(): Promise<Home> {
  const home = new Home();
  home.write('talker.mjs', TALKER);
  const file = home.write(
    'supervisor.yaml',
    'services: { api: { script: talker.mjs, instances: 2, ready: { log: up } }, worker: { script: talker.mjs } }',
  );
  await home.ok(['start', file]);
  return home;
}

/** `gsup top` in a terminal in which something stands already. */
async function topIn(home: Home, args = ''): Promise<Terminal> {
  const terminal = new Terminal({ GSUP_HOME: home.path });
  terminal.line('echo what stood there');
  await terminal.shows(/^what stood there$/m);
  terminal.line(`stty -g > ${home.folder}/before; ${Terminal.gsup(`top ${args}`)}; echo "status $?"`);
  await terminal.shows(/^ gsup top {2}.*instance/);
  return terminal;
}

/** Waits for the shell, and looks at what it has got back. */
async function leftAsItWas(home: Home, terminal: Terminal, status: number): Promise<void> {
  const screen = await terminal.shows(new RegExp(`^status ${status}$`, 'm'));
  expect(screen).toMatch(/^what stood there$/m);
  expect(screen).not.toContain('gsup top  ');
  expect(terminal.modes).toEqual(AS_IT_WAS);
  terminal.line(`stty -g | cmp - ${home.folder}/before && echo as before`);
  await terminal.shows(/^as before$/m);
}

if (!HAS_TMUX) console.warn('skipped: gsup top in a terminal: tmux is not there');

describe.skipIf(!HAS_TMUX)('gsup top in a terminal', () => {
  test.concurrent('shows the services and the log of the selected one, and q leaves the terminal as it was', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    const screen = await terminal.shows(/wide .* after/);
    expect(screen).toMatch(/^ gsup top {2}3 instances, 3 running {2}every 1s$/m);
    expect(screen).toMatch(/^>api:0 +running .*\(ready\) +\d+ .*%.*MiB$/m);
    expect(screen).toMatch(/^ worker:0 +running/m);
    expect(screen).toMatch(/^── log of api:0 ─+$/m);
    expect(screen).toMatch(/^wide 日本語 red {2}after$/m);
    expect(terminal.modes).toMatchObject({ cursor: '0', alternate: '1' });
    terminal.keys('q');
    await leftAsItWas(home, terminal, 0);
  });

  test.concurrent('the log follows the selection', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    terminal.keys('j', 'Down');
    await terminal.shows(/^>worker:0/m);
    const screen = await terminal.shows(/^── log of worker:0 [\s\S]*^up$/m);
    expect(screen).not.toContain('heard it');
    process.kill((await home.instance('worker:0')).pid ?? 0, 'SIGUSR2');
    await terminal.shows(/^heard it$/m);
    terminal.keys('a');
    await terminal.shows(/^── log of all [\s\S]*^worker:0 \| heard it$/m);
  });

  test.concurrent('x stops the selected instance when y follows, s starts it', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    terminal.keys('x');
    await terminal.shows(/^ stop api:0\? y\/n$/m);
    terminal.keys('n', 'x');
    await terminal.shows(/^ stop api:0\? y\/n$/m);
    terminal.keys('y');
    await terminal.shows(/^ api:0 {2}stopped/m);
    await terminal.shows(/^>api:0 +stopped/m);
    expect((await home.ls()).map(({ state }) => state)).toEqual(['stopped', 'running', 'running']);
    terminal.keys('s');
    await terminal.shows(/^>api:0 +running/m);
  });

  test.concurrent('a filter, a detail, the help; Escape goes back', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    terminal.keys('/', 'w', 'o', 'r');
    await terminal.shows(/^ \/wor_/m);
    terminal.keys('Enter', 'Enter');
    await terminal.shows(/^ instance {2}worker:0$/m);
    terminal.keys('Escape');
    await terminal.shows(/\/wor shows 1[\s\S]*^>worker:0/m);
    terminal.keys('?');
    await terminal.shows(/^ q Ctrl-C +quit; Ctrl-Z suspends$/m);
    terminal.keys('Escape');
    await terminal.shows(/^>worker:0/m);
    terminal.keys('Escape');
    await terminal.shows(/^ api:0/m);
  });

  test.concurrent('a resized terminal is filled, and no line is broken', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    for (const [width, height] of [
      [40, 10],
      [20, 5],
      [120, 40],
    ] as const) {
      terminal.resize(width, height);
      await terminal.until(`${width} by ${height}`, () => {
        const { lines } = terminal;
        const isDrawn =
          lines.length === height && lines[0]?.startsWith(' gsup top') && lines.at(-1)?.startsWith(' ? help');
        return isDrawn ? true : undefined;
      });
      expect(Math.max(...terminal.lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    }
    expect(terminal.lines[1]).toMatch(/PID +UPTIME +RST +CPU +MEM/);
    terminal.keys('q');
    await terminal.shows(/^status 0$/m);
    expect(terminal.modes).toEqual(AS_IT_WAS);
  });

  test.concurrent.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ] as const)('%s leaves the terminal as it was', async (signal, status) => {
    await using home = await town();
    await using terminal = await topIn(home);
    process.kill(terminal.foregroundPid, signal);
    await leftAsItWas(home, terminal, status);
  });

  test.concurrent('with its terminal it ends, by itself and without a word', async () => {
    await using home = await town();
    await using terminal = new Terminal({ GSUP_HOME: home.path });
    // A shell that outlives the terminal tells how it came out.
    const top = Terminal.gsup('top 2>"$GSUP_HOME/said"');
    terminal.line(`(trap : HUP; ${top}; echo "status $?" > "$GSUP_HOME/came-out")`);
    await terminal.shows(/^ gsup top {2}3 instances/);
    terminal.close();
    const cameOut = await home.until('the end', () => home.read('came-out') || undefined);
    expect([cameOut, home.read('said')]).toEqual(['status 129\n', '']);
  });

  test.concurrent('Ctrl-C leaves it as it was, in the middle of a question too', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    terminal.keys('x', 'C-c');
    await leftAsItWas(home, terminal, 0);
    expect((await home.ls()).map(({ state }) => state)).toEqual(['running', 'running', 'running']);
  });

  test.concurrent('Ctrl-Z gives the terminal to the shell, fg goes on', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    for (let round = 0; round < 2; round++) {
      terminal.keys('C-z');
      const screen = await terminal.shows(/Stopped/);
      expect(screen).not.toContain('gsup top  ');
      expect(terminal.modes).toEqual(AS_IT_WAS);
      // Echoed: the mode is that of a shell.
      terminal.line('echo in-$((1 + 1))');
      await terminal.shows(/in-2/);
      terminal.line('fg');
      await terminal.shows(/^ gsup top[\s\S]*^>api:0 +running[\s\S]*^wide .* after/m);
      terminal.keys('x', 'n');
    }
    terminal.keys('q');
    await terminal.until('the shell', () => (terminal.modes['alternate'] === '0' ? true : undefined));
    expect(terminal.modes).toEqual(AS_IT_WAS);
    terminal.line(`stty -g | cmp - ${home.folder}/before && echo as before`);
    await terminal.shows(/^as before$/m);
  });

  test.concurrent('a bug is told where it can be read, in a terminal that is as it was', async () => {
    await using home = new Home();
    // No daemon: once the first frame is seen, what it answers is no JSON, which nobody expects.
    mkdirSync(home.path, { mode: 0o700 });
    let answer = '[]';
    const server = createServer((_, response) => response.end(answer)).listen(home.file('gsup.sock'));
    await using terminal = await topIn(home);
    answer = '{';
    await terminal.shows(/gsup: internal error: /);
    await leftAsItWas(home, terminal, 1);
    server.close();
  });

  test.concurrent('a daemon that is gone is told, and the next one taken', async () => {
    await using home = await town();
    await using terminal = await topIn(home);
    await home.killDaemon();
    await terminal.shows(/^ the daemon went away; trying again$/m);
    await home.ok(['ls']);
    await terminal.shows(/^ \? help/m);
    process.kill((await home.instance('api:0')).pid ?? 0, 'SIGUSR2');
    await terminal.shows(/^heard it$/m);
    terminal.keys('q');
    await leftAsItWas(home, terminal, 0);
  });
});

test.concurrent.each([
  [
    ['top'],
    {},
    'gsup: top needs a terminal, and stdout is none\n  "gsup ls" prints the services once, "gsup top --once" one frame\n',
  ],
  [['top', '--interval', '100ms', '--once'], {}, 'gsup: --interval "100ms" is too short\n  expected 500ms or more\n'],
  [['top', '--interval', 'soon', '--once'], {}, 'gsup: --interval "soon" is no duration\n  expected 1s, 500ms, 5s\n'],
])('%j in a pipe exits 2 and says what to do', async (args, env, said) => {
  await using home = new Home();
  const { status, stdout, stderr } = await home.run(args, { env });
  expect([status, stdout, stderr]).toEqual([2, '', said]);
  expect(home.daemonPids()).toEqual([]);
});

test.concurrent('--once prints the table into a pipe, of those that are named', async () => {
  await using home = await town();
  const { status, stdout } = await home.run(['top', '--once', 'api']);
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^ gsup top {2}2 instances, 2 running {2}every 1s\n NAME\* .*MEM\n api:0 +running.*\n api:1 +running.*\n$/,
  );
  const missing = await home.run(['top', '--once', 'apj']);
  expect([missing.status, missing.stderr]).toEqual([4, 'gsup: no service apj\n  did you mean api?\n']);
});
