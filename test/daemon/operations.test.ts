import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Change, OperationLine } from '../../src/api/types.ts';
import { GsupError } from '../../src/core/error.ts';
import { planFor } from '../../src/core/plan.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import { Operations, refused } from '../../src/daemon/operations.ts';
import { FakeMachine, FakeSupervision, type Manner, turn } from '../kit/fake-host.ts';
import { serviceSpec } from '../kit/spec.ts';

const READY = { check: { kind: 'message' }, intervalMs: 100, timeoutMs: 5_000 } as const;
const STUBBORN: Manner = { stopsAfterMs: Number.POSITIVE_INFINITY };

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** A daemon's operations over a fake machine; its own timers go with the machine's clock. */
class Desk {
  readonly machine = new FakeMachine();
  readonly story: FakeSupervision;
  readonly operations: Operations;
  readonly lines: OperationLine[] = [];
  readonly errors: string[] = [];
  readonly prepared: string[] = [];
  readonly tell = (line: OperationLine): void => void this.lines.push(line);

  constructor(...specs: readonly ServiceSpec[]) {
    this.story = new FakeSupervision(this.machine, specs);
    const { story, machine } = this;
    const listen = <T>(all: Set<T>, one: T) => {
      all.add(one);
      return () => all.delete(one);
    };
    this.operations = new Operations({
      state: () => story.supervisor.state,
      now: () => machine.now,
      dispatch: (event) => story.supervisor.dispatch(event),
      batch: (work) => story.supervisor.batch(work),
      onChange: (callback) => listen(story.onChange, callback),
      onRecord: (callback) => listen(story.onRecord, callback as never),
      prepare: (refs) => this.prepared.push(...refs.map(({ service, index }) => `${service}:${index}`)),
      lastErrors: () => Promise.resolve(this.errors),
      flush: () => story.supervisor.flush(),
      setEnvironment: () => {},
      stageEnvironment: () => {},
      shown: (outcome) => outcome,
    });
  }

  /** Time for all, in steps of 100 ms. */
  async pass(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 100) {
      await this.machine.pass(100);
      vi.advanceTimersByTime(100);
      await turn();
    }
  }

  /** Until the operation is over, and its last line; `ms` at most. */
  async end(operation: Promise<OperationLine>, ms = 60_000): Promise<Extract<OperationLine, { type: 'result' }>> {
    let line: OperationLine | null = null;
    void operation.then((last) => {
      line = last;
    });
    for (let gone = 0; gone <= ms && line === null; gone += 100) await this.pass(100);
    const last = line as OperationLine | null;
    if (last?.type !== 'result') throw new Error(`it is not over after ${ms} ms`);
    return last;
  }

  async up(...services: readonly string[]): Promise<void> {
    this.story.start(...services);
    await this.pass(100);
  }

  refs(service: string, ...indexes: readonly number[]) {
    const all = this.story.supervisor.state.services[service]?.instances.keys() ?? [];
    return (indexes.length === 0 ? [...all] : indexes).map((index) => ({ service, index }));
  }

  /** As `gsup apply` does. */
  apply(specs: readonly ServiceSpec[], isWhole = true): Promise<OperationLine> {
    const changes = planFor(this.story.supervisor.state, specs, isWhole);
    return this.operations.apply({ changes, specs, environments: { given: null, forNew: {} } }, this.tell);
  }

  get spawns(): readonly string[] {
    return this.machine.deeds.filter((deed) => deed.startsWith('spawn')).map((deed) => deed.slice('spawn '.length));
  }

  get phases(): readonly string[] {
    return this.lines.flatMap((line) =>
      line.type === 'record' ? [`${line.record.instance} ${line.record.phase}`] : [],
    );
  }
}

const told = ({ outcomes }: { outcomes: readonly { instance: string; message: string; isOk: boolean }[] }) =>
  outcomes.map(({ instance, message, isOk }) => `${isOk ? 'ok' : 'no'} ${instance} ${message}`);

describe('a start', () => {
  test('is good when an instance without a check has lived for a second', async () => {
    const desk = new Desk(serviceSpec());
    const operation = desk.operations.start(desk.refs('api'), desk.tell);
    await desk.pass(900);
    const result = await desk.end(operation);
    expect(result).toEqual({
      type: 'result',
      exitStatus: 0,
      outcomes: [
        { instance: 'api:0', isOk: true, message: 'running as 101', verdict: null, isTimeout: false, stderr: [] },
      ],
      error: null,
      hint: null,
    });
    expect([desk.phases, desk.prepared]).toEqual([['api:0 spawned', 'api:0 ready'], ['api:0']]);
    expect([desk.story.onChange.size, desk.story.onRecord.size]).toEqual([0, 0]);
  });

  test('is bad when it ends before, with its last words', async () => {
    const desk = new Desk(serviceSpec());
    desk.errors.push('cannot listen on 80');
    desk.machine.manners.set('api:0', { ends: { afterMs: 40, code: 1 } });
    const result = await desk.end(desk.operations.start(desk.refs('api'), desk.tell));
    expect(result.exitStatus).toBe(1);
    expect(result.outcomes).toEqual([
      {
        instance: 'api:0',
        isOk: false,
        message: 'exit 1; next try in 250ms',
        verdict: null,
        isTimeout: false,
        stderr: ['cannot listen on 80'],
      },
    ]);
  });

  test('of what runs already is good', async () => {
    const desk = new Desk(serviceSpec());
    await desk.up('api');
    expect(told(await desk.end(desk.operations.start(desk.refs('api'), desk.tell)))).toEqual([
      'ok api:0 running as 101',
    ]);
    expect(desk.spawns).toEqual(['api:0']);
  });

  test('of a program that ends well is good, when that is what it is for', async () => {
    const desk = new Desk(serviceSpec({ restart: { policy: 'on-failure' } }));
    desk.machine.manners.set('api:0', { ends: { afterMs: 40, code: 0 } });
    expect(told(await desk.end(desk.operations.start(desk.refs('api'), desk.tell)))).toEqual([
      'ok api:0 completed: exit 0',
    ]);
  });

  test.each([[['db', 'api', 'web']], [['web', 'api', 'db']], [['api', 'web', 'db']], [['web']]])(
    'of %s goes along their dependencies',
    async (names) => {
      const desk = new Desk(
        serviceSpec({ name: 'web', dependsOn: { api: 'started' } }),
        serviceSpec({ name: 'api', dependsOn: { db: 'started' } }),
        serviceSpec({ name: 'db' }),
      );
      const result = await desk.end(
        desk.operations.start(
          names.flatMap((name) => desk.refs(name)),
          desk.tell,
        ),
      );
      expect([desk.spawns, result.exitStatus]).toEqual([['db:0', 'api:0', 'web:0'], 0]);
    },
  );

  test('starts again a dependency that was stopped by hand', async () => {
    const desk = new Desk(serviceSpec({ name: 'db' }), serviceSpec({ dependsOn: { db: 'started' } }));
    await desk.up('db', 'api');
    for (const name of ['api', 'db']) await desk.end(desk.operations.stop(desk.refs(name), desk.tell));
    expect(told(await desk.end(desk.operations.start(desk.refs('api'), desk.tell)))).toEqual([
      'ok db:0 running as 103',
      'ok api:0 running as 104',
    ]);
  });

  test('waits no longer when its dependency does not come up', async () => {
    const desk = new Desk(serviceSpec({ name: 'db', ready: READY }), serviceSpec({ dependsOn: { db: 'ready' } }));
    desk.machine.manners.set('db:0', { ends: { afterMs: 10, code: 2 } });
    expect(told(await desk.end(desk.operations.start(desk.refs('api'), desk.tell)))).toEqual([
      'no db:0 exit 2 before it was ready; next try in 250ms',
      'no api:0 waits for db, which does not come up',
    ]);
  });

  test('waits no longer when the dependency of its dependency does not come up', async () => {
    const desk = new Desk(
      serviceSpec({ name: 'db', ready: READY, restart: { minDelayMs: 30_000, maxDelayMs: 30_000 } }),
      serviceSpec({ dependsOn: { db: 'ready' } }),
      serviceSpec({ name: 'web', dependsOn: { api: 'ready' } }),
    );
    desk.machine.manners.set('db:0', { ends: { afterMs: 10, code: 2 } });
    const result = await desk.end(desk.operations.start(desk.refs('web'), desk.tell), 5_000);
    expect(told(result).at(-1)).toBe('no web:0 waits for api, which does not come up');
  });

  test('of what runs is good, whatever became of its dependency', async () => {
    const desk = new Desk(serviceSpec({ name: 'db', ready: READY }), serviceSpec({ dependsOn: { db: 'ready' } }));
    desk.machine.manners.set('db:0', { ends: { afterMs: 10, code: 2 } });
    desk.story.supervisor.dispatch({ type: 'restart', at: 0, instances: desk.refs('api'), reason: 'by force' });
    await desk.up('db');
    expect(told(await desk.end(desk.operations.start(desk.refs('api'), desk.tell)))).toEqual([
      'ok api:0 running as 101',
    ]);
  });

  test('that is stopped meanwhile, or deleted, says so', async () => {
    const desk = new Desk(serviceSpec({ ready: READY }), serviceSpec({ name: 'web', ready: READY }));
    const starts = desk.operations.start([...desk.refs('api'), ...desk.refs('web')], desk.tell);
    await desk.pass(100);
    desk.story.stop('api');
    desk.story.supervisor.dispatch({ type: 'remove', at: desk.machine.now, services: ['web'], reason: 'test' });
    expect(told(await desk.end(starts))).toEqual([
      'no api:0 it was stopped meanwhile',
      'no web:0 it was deleted meanwhile',
    ]);
  });

  test('when everything is being stopped is over', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', { stopsAfterMs: 3_000 });
    await desk.up('api');
    desk.story.supervisor.dispatch({ type: 'shutdown', at: desk.machine.now, reason: 'test', signal: null });
    expect(told(await desk.end(desk.operations.start(desk.refs('api'), desk.tell), 1_000))).toEqual([
      'no api:0 gsup is stopping everything',
    ]);
  });
});

describe('a stop', () => {
  test('tells each verdict, and what was not running', async () => {
    const desk = new Desk(serviceSpec({ instances: 3, stop: { graceMs: 1_000 } }));
    desk.machine.manners.set('api:1', STUBBORN);
    desk.story.supervisor.dispatch({ type: 'start', at: 0, services: ['api'], indexes: [0, 1], reason: 'test' });
    await desk.pass(100);
    const result = await desk.end(desk.operations.stop(desk.refs('api'), desk.tell));
    expect(result.exitStatus).toBe(1);
    expect(told(result)).toEqual([
      'ok api:0 stopped cleanly, 0% of the grace period used',
      'no api:1 stopped with SIGKILL, 100% of the grace period used',
      'ok api:2 is not running',
    ]);
    expect(result.outcomes.map(({ verdict }) => verdict)).toEqual(['clean', 'killed', null]);
  });

  test('of what SIGKILL does not end says so', async () => {
    const desk = new Desk(serviceSpec({ stop: { graceMs: 100 } }));
    desk.machine.manners.set('api:0', { ...STUBBORN, isStuck: true });
    await desk.up('api');
    expect(told(await desk.end(desk.operations.stop(desk.refs('api'), desk.tell)))).toEqual([
      'no api:0 process 101 did not die of SIGKILL',
    ]);
  });

  test('that is asked twice is waited for twice', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    await desk.up('api');
    const both = ['a', 'b'].map(() => desk.operations.stop(desk.refs('api'), desk.tell));
    const [first, second] = await Promise.all(both.map((one) => desk.end(one)));
    expect([first && told(first), second && told(second)]).toEqual([
      ['ok api:0 stopped cleanly, 20% of the grace period used'],
      ['ok api:0 stopped cleanly, 20% of the grace period used'],
    ]);
    expect(desk.story.phases.filter((phase) => phase === 'api:0 stop-requested')).toHaveLength(1);
  });
});

describe('operations of one service', () => {
  test('go one after the other, those of others do not wait', async () => {
    const desk = new Desk(serviceSpec(), serviceSpec({ name: 'web' }));
    desk.machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    await desk.up('api', 'web');
    const over: string[] = [];
    const all = [
      desk.operations.stop(desk.refs('api'), desk.tell).then(() => over.push('stop api')),
      desk.operations.start(desk.refs('api'), desk.tell).then(() => over.push('start api')),
      desk.operations.stop(desk.refs('web'), desk.tell).then(() => over.push('stop web')),
    ];
    await desk.pass(10_000);
    await Promise.all(all);
    expect(over).toEqual(['stop web', 'stop api', 'start api']);
    expect(desk.story.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });

  test('a start behind the stop of a dependency waits for it as a whole', async () => {
    const desk = new Desk(serviceSpec({ name: 'db' }), serviceSpec({ dependsOn: { db: 'ready' } }));
    desk.machine.manners.set('db:0', { stopsAfterMs: 2_000 });
    await desk.up('db');
    void desk.operations.stop(desk.refs('db'), desk.tell);
    const started = desk.operations.start([...desk.refs('db'), ...desk.refs('api')], desk.tell);
    expect(told(await desk.end(started))).toEqual(['ok db:0 running as 102', 'ok api:0 running as 103']);
  });

  test('a start behind a deletion finds nothing', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    await desk.up('api');
    const deleted = desk.operations.delete(['api'], desk.tell);
    const started = desk.operations.start(desk.refs('api'), desk.tell);
    expect(told(await desk.end(deleted))).toEqual(['ok api:0 deleted']);
    expect(told(await desk.end(started))).toEqual(['no api:0 it was deleted meanwhile']);
  });

  test('a deletion while it stops by hand waits for that', async () => {
    const desk = new Desk(serviceSpec({ instances: 2 }));
    desk.machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    await desk.up('api');
    desk.story.stop('api');
    const result = await desk.end(desk.operations.delete(['api'], desk.tell));
    expect(told(result)).toEqual(['ok api:0 deleted', 'ok api:1 deleted']);
    expect(result.outcomes.map(({ verdict }) => verdict)).toEqual(['clean', 'clean']);
    expect(Object.keys(desk.story.supervisor.state.services)).toEqual([]);
  });

  test('two deletions of the same are both over', async () => {
    const desk = new Desk(serviceSpec());
    await desk.up('api');
    const both = [desk.operations.delete(['api'], desk.tell), desk.operations.delete(['api'], desk.tell)];
    for (const one of both) expect((await desk.end(one)).exitStatus).toBe(0);
  });

  test('a deletion that needed SIGKILL says so', async () => {
    const desk = new Desk(serviceSpec({ stop: { graceMs: 500 } }));
    desk.machine.manners.set('api:0', STUBBORN);
    await desk.up('api');
    const result = await desk.end(desk.operations.delete(['api'], desk.tell));
    expect([told(result), result.exitStatus]).toEqual([['no api:0 deleted, with SIGKILL'], 1]);
  });
});

describe('a restart', () => {
  test('of a mix of running and stopped makes all run', async () => {
    const desk = new Desk(serviceSpec({ instances: 2 }));
    await desk.up('api');
    await desk.end(desk.operations.stop(desk.refs('api', 1), desk.tell));
    const result = await desk.end(desk.operations.restart(desk.refs('api'), desk.tell));
    expect(told(result)).toEqual(['ok api:0 running as 104', 'ok api:1 running as 103']);
    expect(result.outcomes.map(({ verdict }) => verdict)).toEqual(['clean', null]);
  });

  test('of one that needed SIGKILL is not quite good', async () => {
    const desk = new Desk(serviceSpec({ stop: { graceMs: 500 } }));
    desk.machine.manners.set('api:0', (start) => (start === 1 ? STUBBORN : {}));
    await desk.up('api');
    const result = await desk.end(desk.operations.restart(desk.refs('api'), desk.tell));
    expect([told(result), result.exitStatus]).toEqual([['no api:0 running as 102; the run before needed SIGKILL'], 1]);
  });

  test('whose new run is not ready and needs SIGKILL does not say that of the run before', async () => {
    const desk = new Desk(serviceSpec({ stop: { graceMs: 500 } }));
    await desk.up('api');
    desk.machine.manners.set('api:0', STUBBORN);
    const ready = { ...READY, timeoutMs: 1_000 };
    const spec = serviceSpec({ stop: { graceMs: 500 }, ready });
    desk.story.supervisor.dispatch({ type: 'define', at: desk.machine.now, spec, reason: 'test', replaces: false });
    expect(told(await desk.end(desk.operations.restart(desk.refs('api'), desk.tell)))).toEqual([
      'no api:0 not ready within 1s; next try in 250ms',
    ]);
  });

  test('whose new run crashes says how', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', (start) => (start === 1 ? {} : { ends: { afterMs: 20, code: 9 } }));
    await desk.up('api');
    expect(told(await desk.end(desk.operations.restart(desk.refs('api'), desk.tell)))).toEqual([
      'no api:0 exit 9; next try in 250ms',
    ]);
  });

  test('without a delay between tries tells the first', async () => {
    const desk = new Desk(serviceSpec({ restart: { minDelayMs: 0, limit: 2 } }));
    desk.machine.manners.set('api:0', (start) => (start === 1 ? {} : { ends: { afterMs: 20, code: 9 } }));
    await desk.up('api');
    expect(told(await desk.end(desk.operations.restart(desk.refs('api'), desk.tell)))).toEqual([
      'no api:0 exit 9, and was started again',
    ]);
  });

  test('of what is down waits for what it depends on', async () => {
    const desk = new Desk(serviceSpec({ name: 'db' }), serviceSpec({ dependsOn: { db: 'started' } }));
    await desk.end(desk.operations.restart([...desk.refs('api'), ...desk.refs('db')], desk.tell));
    expect(desk.spawns).toEqual(['db:0', 'api:0']);
  });
});

describe('scaling', () => {
  test('up starts what is added', async () => {
    const desk = new Desk(serviceSpec());
    await desk.up('api');
    expect(told(await desk.end(desk.operations.scale('api', 3, desk.tell)))).toEqual([
      'ok api:1 running as 102',
      'ok api:2 running as 103',
    ]);
    expect(desk.prepared).toEqual(['api:1', 'api:2']);
  });

  test('down stops what is too many, and forgets it', async () => {
    const desk = new Desk(serviceSpec({ instances: 3 }));
    await desk.up('api');
    expect(told(await desk.end(desk.operations.scale('api', 1, desk.tell)))).toEqual([
      'ok api:1 stopped cleanly, 0% of the grace period used',
      'ok api:2 stopped cleanly, 0% of the grace period used',
    ]);
    expect(desk.story.supervisor.state.services['api']?.instances).toHaveLength(1);
  });

  test('to what is there does nothing', async () => {
    const desk = new Desk(serviceSpec());
    await desk.up('api');
    expect(await desk.end(desk.operations.scale('api', 1, desk.tell))).toMatchObject({ exitStatus: 0, outcomes: [] });
  });

  test('of what nobody has does nothing', async () => {
    const desk = new Desk();
    expect(await desk.end(desk.operations.scale('api', 1, desk.tell))).toMatchObject({ exitStatus: 0, outcomes: [] });
  });

  test('up, while a supervisor of before left it in the middle of scaling down, starts all again', async () => {
    const desk = new Desk(serviceSpec({ instances: 2 }));
    desk.machine.manners.set('api:1', { stopsAfterMs: 2_000 });
    await desk.up('api');
    const spec = serviceSpec({ instances: 1 });
    desk.story.supervisor.dispatch({ type: 'define', at: desk.machine.now, spec, reason: 'test', replaces: false });
    await desk.end(desk.operations.scale('api', 2, desk.tell));
    await desk.pass(3_000);
    expect(desk.story.stateOf('api', 1).name).toBe('running');
  });
});

describe('an apply', () => {
  test('removes, adds, replaces, updates and scales, and says the plan first', async () => {
    const desk = new Desk(
      serviceSpec({ name: 'old' }),
      serviceSpec({ name: 'changed' }),
      serviceSpec({ name: 'tuned' }),
      serviceSpec({ name: 'grown' }),
      serviceSpec({ name: 'shrunk', instances: 2 }),
      serviceSpec({ name: 'same' }),
    );
    await desk.up('old', 'changed', 'tuned', 'grown', 'shrunk', 'same');
    const result = await desk.end(
      desk.apply([
        serviceSpec({ name: 'changed', cwd: '/srv' }),
        serviceSpec({ name: 'tuned', critical: true }),
        serviceSpec({ name: 'grown', instances: 2 }),
        serviceSpec({ name: 'shrunk', instances: 1 }),
        serviceSpec({ name: 'same' }),
        serviceSpec({ name: 'new' }),
      ]),
    );
    const [plan] = desk.lines;
    const changes: readonly Change[] = plan?.type === 'plan' ? plan.changes : [];
    expect(changes.map(({ service, action }) => `${action} ${service}`)).toEqual([
      'remove old',
      'replace changed',
      'update tuned',
      'scale grown',
      'scale shrunk',
      'none same',
      'add new',
    ]);
    expect(told(result)).toEqual(
      [
        'ok old:0 deleted',
        'ok changed:0 replaced: 102 → 108',
        'ok tuned:0 running as 103',
        'ok grown:0 running as 104',
        'ok grown:1 running as 109',
        'ok shrunk:0 running as 105',
        'ok shrunk:1 stopped cleanly, 0% of the grace period used',
        'ok same:0 running as 107',
        'ok new:0 running as 110',
      ].map((line) => expect.stringMatching(line.replace(/\d+$/, '\\d+'))),
    );
    expect(result.exitStatus).toBe(0);
    expect(
      desk.machine
        .living()
        .map(({ instance }) => instance)
        .sort(),
    ).toEqual(['changed:0', 'grown:0', 'grown:1', 'new:0', 'same:0', 'shrunk:0', 'tuned:0'].sort());
  });

  test('starts what it adds along their dependencies, whatever the order of the file', async () => {
    const desk = new Desk();
    const specs = [serviceSpec({ dependsOn: { db: 'started' } }), serviceSpec({ name: 'db' })];
    await desk.end(desk.apply(specs));
    expect(desk.spawns).toEqual(['db:0', 'api:0']);
  });

  test('of a part removes nothing', async () => {
    const desk = new Desk(serviceSpec({ name: 'other' }));
    await desk.up('other');
    await desk.end(desk.apply([serviceSpec()], false));
    expect(Object.keys(desk.story.supervisor.state.services)).toEqual(['other', 'api']);
  });

  test('that replaces one that needs SIGKILL says so', async () => {
    const desk = new Desk(serviceSpec({ stop: { graceMs: 500 } }));
    desk.machine.manners.set('api:0', (start) => (start === 1 ? STUBBORN : {}));
    await desk.up('api');
    const result = await desk.end(desk.apply([serviceSpec({ stop: { graceMs: 500 }, cwd: '/srv' })]));
    expect(told(result)).toEqual(['no api:0 replaced: 101 → 102; the run before needed SIGKILL']);
  });

  test('that replaces starts what was down as well', async () => {
    const desk = new Desk(serviceSpec({ instances: 2 }));
    await desk.up('api');
    await desk.end(desk.operations.stop(desk.refs('api', 1), desk.tell));
    const result = await desk.end(desk.apply([serviceSpec({ instances: 2, cwd: '/srv' })]));
    expect([result.exitStatus, desk.story.stateOf('api', 0).name, desk.story.stateOf('api', 1).name]).toEqual([
      0,
      'running',
      'running',
    ]);
  });

  test('that fixes a crash loop tries at once', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', (start) => (start === 1 ? { ends: { afterMs: 10, code: 1 } } : {}));
    await desk.up('api');
    expect(desk.story.stateOf('api').name).toBe('backoff');
    expect(told(await desk.end(desk.apply([serviceSpec({ cwd: '/srv' })])))).toEqual(['ok api:0 running as 102']);
  });
});

test('an operation that did not begin says why in its last line, and a bug is told as one', () => {
  expect(refused(new GsupError('no service web', { exitStatus: 4, hint: 'did you mean api?' }))).toEqual({
    type: 'result',
    exitStatus: 4,
    outcomes: [],
    error: 'no service web',
    hint: 'did you mean api?',
  });
  const told = vi.spyOn(console, 'error').mockImplementation(() => {});
  expect(refused(new TypeError('a bug'))).toMatchObject({ exitStatus: 1, error: 'internal error: TypeError: a bug' });
  expect(told).toHaveBeenCalled();
  told.mockRestore();
});

test('a reload that waits for its turn gives way to a stop that was asked for after it', async () => {
  const desk = new Desk(serviceSpec({ rolling: { minReadyMs: 30_000 } }));
  await desk.up('api');
  const refs = desk.refs('api');
  const first = desk.operations.reload(refs, desk.tell);
  const second = desk.operations.reload(refs, desk.tell);
  await desk.pass(100);
  const stop = desk.operations.stop(refs, desk.tell);
  expect(told(await desk.end(stop))).toEqual(['ok api:0 stopped cleanly, 0% of the grace period used']);
  expect(told(await desk.end(first))).toEqual(['no api:0 not replaced: gsup stop']);
  expect(told(await desk.end(second))).toEqual(['no api:0 not replaced: it was stopped meanwhile']);
  expect(desk.story.stateOf('api').name).toBe('stopped');
});

describe('an operation always ends', () => {
  test('an apply that waits behind a scale works out its change when its turn comes', async () => {
    const spec = serviceSpec();
    const desk = new Desk(spec);
    desk.machine.manners.set('api:0', { stopsAfterMs: 1_000 });
    await desk.up('api');
    const restart = desk.operations.restart(desk.refs('api'), desk.tell);
    const scale = desk.operations.scale('api', 3, desk.tell);
    const apply = desk.apply([spec]);
    expect((await desk.end(restart)).exitStatus).toBe(0);
    expect((await desk.end(scale)).exitStatus).toBe(0);
    expect((await desk.end(apply)).exitStatus).toBe(0);
    expect(desk.lines.filter((line) => line.type === 'plan')).toEqual([
      { type: 'plan', changes: [{ service: 'api', action: 'none', what: '' }] },
      { type: 'plan', changes: [{ service: 'api', action: 'scale', what: 'instances 3 → 1' }] },
    ]);
    expect(desk.refs('api')).toHaveLength(1);
    expect((await desk.end(desk.operations.restart(desk.refs('api'), desk.tell))).exitStatus).toBe(0);
    expect((await desk.end(desk.operations.stop(desk.refs('api'), desk.tell))).exitStatus).toBe(0);
  });

  test('a stop does not wait for the end of a start that waits for readiness', async () => {
    const desk = new Desk(serviceSpec({ ready: { ...READY, timeoutMs: 3_600_000 } }));
    const start = desk.operations.start(desk.refs('api'), desk.tell);
    await desk.pass(100);
    expect((await desk.end(desk.operations.stop(desk.refs('api'), desk.tell), 5_000)).exitStatus).toBe(0);
    expect(told(await desk.end(start, 100))).toEqual(['no api:0 it was stopped meanwhile']);
  });

  test.each([
    ['start', (desk: Desk) => desk.operations.start(desk.refs('api'), desk.tell)],
    ['restart', (desk: Desk) => desk.operations.restart(desk.refs('api'), desk.tell)],
    ['scale', (desk: Desk) => desk.operations.scale('api', 2, desk.tell)],
    ['apply', (desk: Desk) => desk.apply([serviceSpec({ ready: READY, instances: 2 })])],
  ])('a %s that waits for its turn gives way to a stop that was requested after it', async (_, begin) => {
    const desk = new Desk(serviceSpec({ ready: { ...READY, timeoutMs: 3_600_000 } }));
    const first = desk.operations.start(desk.refs('api'), desk.tell);
    await desk.pass(100);
    const second = begin(desk);
    await desk.pass(100);
    expect((await desk.end(desk.operations.stop(desk.refs('api'), desk.tell), 5_000)).exitStatus).toBe(0);
    expect((await desk.end(first, 100)).exitStatus).toBe(1);
    const { exitStatus, outcomes } = await desk.end(second, 100);
    expect([exitStatus, outcomes.length]).toEqual([1, 1]);
    expect(desk.story.stateOf('api').name).toBe('stopped');
    expect(desk.spawns).toHaveLength(1);
  });

  test('an operation after a stop waits for the stop and then has its effect', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    await desk.up('api');
    const restart = desk.operations.restart(desk.refs('api'), desk.tell);
    const stop = desk.operations.stop(desk.refs('api'), desk.tell);
    const start = desk.operations.start(desk.refs('api'), desk.tell);
    expect([(await desk.end(restart)).exitStatus, (await desk.end(stop)).exitStatus]).toEqual([1, 0]);
    expect((await desk.end(start)).exitStatus).toBe(0);
    expect(desk.story.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });

  test('a stop that a start from elsewhere overrules fails instead of waiting', async () => {
    const desk = new Desk(serviceSpec());
    desk.machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    await desk.up('api');
    const stop = desk.operations.stop(desk.refs('api'), desk.tell);
    await desk.pass(500);
    desk.story.start('api');
    expect(told(await desk.end(stop, 10_000))).toEqual(['no api:0 it was started again meanwhile']);
  });

  test('a deletion ends when only one of two instances can be killed', async () => {
    const desk = new Desk(serviceSpec({ instances: 2, stop: { graceMs: 100 } }));
    desk.machine.manners.set('api:1', { ...STUBBORN, isStuck: true });
    await desk.up('api');
    expect((await desk.end(desk.operations.delete(['api'], desk.tell))).exitStatus).toBe(1);
  });
});

test('what a command has changed is kept before it answers', async () => {
  const desk = new Desk(serviceSpec({ instances: 2 }));
  let kept = 0;
  const scaled = desk.operations.scale('api', 1, desk.tell).then((line) => {
    kept = JSON.parse(desk.machine.saved ?? '{}').state?.services.api.instances.length;
    return line;
  });
  await desk.end(scaled);
  expect(kept).toBe(1);
});
