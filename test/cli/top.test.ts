import { describe, expect, test } from 'vitest';
import { KeyReader } from '../../src/cli/top/keys.ts';
import { press, type TopAction } from '../../src/cli/top/press.ts';
import { initialTop, listed, logTarget, settled, type TopState } from '../../src/view/top-state.ts';
import { viewOf } from '../kit/views.ts';

const SIZE = { width: 80, height: 24 };
const VIEWS = ['api:0', 'api:1', 'db:0', 'worker:0'].map((name) => viewOf(name));

function begun(views = VIEWS): TopState {
  return settled(listed(initialTop(1_000), views), SIZE);
}

/** The state after these keys, and what they asked for. */
function pressed(keys: readonly string[], from = begun()): { state: TopState; actions: readonly TopAction[] } {
  const actions: TopAction[] = [];
  const state = keys.reduce((before, key) => {
    const { state: after, action } = press(before, key, SIZE);
    if (action !== null) actions.push(action);
    return settled(after, SIZE);
  }, from);
  return { state, actions };
}

describe('keys of the table', () => {
  test.each([
    [['down'], 'api:1'],
    [['j', 'j', 'k'], 'api:1'],
    [['up'], 'api:0'],
    [['G'], 'worker:0'],
    [['G', 'down'], 'worker:0'],
    [['end', 'home'], 'api:0'],
    [['pagedown'], 'worker:0'],
    [['/', 'd', 'b', 'enter'], 'db:0'],
    [['/', 'd', 'b', 'escape'], 'db:0'],
    [['/', 'paste:wor'], 'worker:0'],
    [['paste:jjj'], 'api:0'],
    [['tab', 'down', 'down'], 'api:0'],
  ])('%j select %s', (keys, selected) => {
    expect(pressed(keys).state.selected).toBe(selected);
  });

  test('a page is what is seen, and what is selected is always in view', () => {
    const many = begun(Array.from({ length: 100 }, (_, n) => viewOf(`api:${n}`)));
    const { state } = pressed(['pagedown', 'pagedown', 'up'], many);
    expect([state.selected, state.offset]).toEqual(['api:19', 10]);
    expect(pressed(['G'], many).state.offset).toBe(89);
  });

  test.each([
    [['x', 'y'], { kind: 'operate', verb: 'stop', name: 'api:0' }],
    [['down', 'r', 'Y'], { kind: 'operate', verb: 'restart', name: 'api:1' }],
    [['down', 's'], { kind: 'operate', verb: 'start', name: 'api:1' }],
    [['down', 'R'], { kind: 'operate', verb: 'reload', name: 'api' }],
    [['q'], { kind: 'quit' }],
    [['?', 'q'], { kind: 'quit' }],
    [['/', 'ctrl-c'], { kind: 'quit' }],
    [['x', 'ctrl-c'], { kind: 'quit' }],
    [['ctrl-z'], { kind: 'suspend' }],
    [['ctrl-l'], { kind: 'redraw' }],
  ])('%j ask for %j', (keys, action) => {
    expect(pressed(keys).actions).toEqual([action]);
  });

  test.each([
    [['x']],
    [['x', 'n']],
    [['x', 'escape', 'y']],
    [['r', 'x', 'y']],
    [['y']],
    [['/', 'x', 'y', 'enter']],
    [['paste:xy']],
    [['x', 'paste:y']],
    [['?', 'x', 'y']],
  ])('%j stop nothing', (keys) => {
    expect(pressed(keys).actions).toEqual([]);
  });

  test('what was asked of one instance is done to that one, whatever comes between', () => {
    const asked = pressed(['x']).state;
    const later = settled(listed(asked, VIEWS.slice(1)), SIZE);
    expect(pressed(['y'], later).actions).toEqual([{ kind: 'operate', verb: 'stop', name: 'api:0' }]);
  });

  test('nothing is asked of nobody', () => {
    expect(pressed(['x', 'y', 's', 'R', 'enter', 'down'], begun([])).actions).toEqual([]);
  });
});

describe('what is shown', () => {
  test.each([
    [[], 'api:0'],
    [['down'], 'api:1'],
    [['l'], null],
    [['l', 'enter'], 'api:0'],
    [['l', 'l'], 'api:0'],
    [['a'], 'all'],
    [['a', 'enter'], 'api:0'],
    [['l', 'a'], 'all'],
  ])('after %j the log of %s is followed', (keys, target) => {
    expect(logTarget(pressed(keys).state)).toBe(target);
  });

  test('Escape goes one step back', () => {
    const from = pressed(['/', 'a', 'p', 'i', 'enter', 'tab']).state;
    expect([from.focus, from.filter]).toEqual(['logs', 'api']);
    const first = pressed(['escape'], from).state;
    expect([first.focus, first.filter]).toEqual(['table', 'api']);
    expect(pressed(['escape'], first).state.filter).toBe('');
  });

  test('Escape while a filter is typed brings the one before back', () => {
    const from = pressed(['/', 'd', 'b', 'enter', '/', 'x']).state;
    expect(from.filter).toBe('dbx');
    expect(pressed(['escape'], from).state.filter).toBe('db');
  });

  test('S goes through the columns and round', () => {
    const sorts = ['cpu', 'memory', 'restarts', 'uptime', 'name'];
    expect(sorts.map((_, n) => pressed(Array(n + 1).fill('S')).state.sort)).toEqual(sorts);
  });

  test('the log is scrolled up to its begin and down to its end', () => {
    const log = Array.from({ length: 50 }, (_, n) => ({ instance: 'api:0', isError: false, text: `${n}` }));
    const from = { ...begun(), log };
    expect(pressed(['tab', 'up', 'up', 'down'], from).state.scroll).toBe(1);
    const top = pressed(['tab', 'g'], from).state;
    expect(top.scroll).toBe(50 - 16);
    expect(pressed(['G'], top).state.scroll).toBe(0);
  });
});

describe('bytes of a terminal', () => {
  test.each([
    ['jk', ['j', 'k']],
    ['\u001b[A\u001bOB', ['up', 'down']],
    ['\u001b[5~\u001b[6~\u001b[1~\u001b[F', ['pageup', 'pagedown', 'home', 'end']],
    ['\r\t\u007f\u0003\u001a', ['enter', 'tab', 'backspace', 'ctrl-c', 'ctrl-z']],
    ['é日👍', ['é', '日', '👍']],
    ['\u001b[1;5C\u001b[<0;3;4Mj', ['j']],
    ['\u001bx', []],
    ['\u001b\u001b[A', ['escape', 'up']],
    ['\u001b[200~x y\r\nq\u001b[201~j', ['paste:x yq', 'j']],
  ])('%j are %j', (text, keys) => {
    expect(new KeyReader().read(text)).toEqual(keys);
    const apart = new KeyReader();
    expect([...text].flatMap((character) => apart.read(character))).toEqual(keys);
  });

  test('an Escape is one when nothing follows', () => {
    const reader = new KeyReader();
    expect(reader.read('\u001b')).toEqual([]);
    expect(reader.isWaiting).toBe(true);
    expect(reader.flush()).toEqual(['escape']);
    expect(reader.isWaiting).toBe(false);
  });

  test('half a sequence is nothing, half a paste waits for its end', () => {
    const reader = new KeyReader();
    reader.read('\u001b[1;');
    expect(reader.flush()).toEqual([]);
    reader.read('\u001b[200~x');
    expect(reader.flush()).toEqual([]);
    expect(reader.read('y\u001b[201~')).toEqual(['paste:xy']);
  });
});
