/** A drill: a spare instance is started, asked things, stopped by the ladder and looked over; nothing of it is left. */
import { formatAddress } from '../core/address.ts';
import type { OuterLimit } from '../core/budget.ts';
import { type DrillReport, drillReport, type HeldPort } from '../core/drill.ts';
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { instanceName } from '../core/name.ts';
import { recordMessage } from '../core/record.ts';
import { maskedTexts } from '../core/secrets.ts';
import type { ServiceSpec, SocketAddress } from '../core/service.ts';
import { type SignalName, signalNumber } from '../core/signal.ts';
import {
  askedBy,
  hostOf,
  isLocal,
  type Moved,
  movedPorts,
  movedUrl,
  portOf,
  spareIndex,
  spareSpec,
} from '../core/spare.ts';
import { isDown } from '../core/state.ts';
import { instanceEnvironment } from '../host/environment.ts';
import { findHolder, findListener, type Holder } from '../host/socket-table.ts';
import { Load } from './drill-load.ts';
import { captureSignals } from './signals.ts';
import { Spare, type Told } from './spare.ts';
import { SpareHost } from './spare-host.ts';
import { openSpareSockets, type SpareSockets } from './spare-sockets.ts';

export type DrillOptions = {
  /** As the service has it. */
  readonly spec: ServiceSpec;
  /** What its instances inherit. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `--env`. */
  readonly env: Readonly<Record<string, string>>;
  /** `null`: no load. `url` null: that of the readiness check. */
  readonly load: { readonly ratePerSecond: number; readonly url: string | null } | null;
  /** From ready to the stop. */
  readonly durationMs: number;
  readonly outer: OuterLimit | null;
  readonly onRecord: (record: Told) => void;
  /** Something for people. */
  readonly notice: (text: string) => void;
};

const CALM_MS = 200;

type Plan = { readonly spec: ServiceSpec; readonly moved: readonly Moved[]; readonly url: string | null };

/** @throws {GsupError} when it can't be rehearsed: the spare does not come up, or the drill is interrupted (130). */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const sockets = await openSpareSockets(options.spec.sockets);
  try {
    const plan = planOf(options, sockets);
    refuseTaken(options.spec, plan, sockets);
    const host = new SpareHost(options.spec.sockets);
    await host.prepare(options.spec, sockets.handedIn);
    const { environment, onRecord } = options;
    const { folder } = sockets;
    const spare = new Spare({ spec: plan.spec, index: spareIndex(options.spec), host, environment, onRecord, folder });
    const interruption = interruptionOf(spare);
    try {
      return await rehearse(spare, { options, plan, sockets, interruption });
    } finally {
      if (!isDown(spare.state)) spare.stop('the drill is given up');
      await spare.until(isDown);
      await spare.clear();
      interruption.release();
    }
  } finally {
    sockets.close();
  }
}

type Rehearsal = {
  readonly options: DrillOptions;
  readonly plan: Plan;
  readonly sockets: SpareSockets;
  readonly interruption: Interruption;
};

async function rehearse(spare: Spare, { options, plan, sockets, interruption }: Rehearsal): Promise<DrillReport> {
  const { spec, outer, durationMs, notice } = options;
  await spare.start();
  await interruption.orElse(spare.until(({ name }) => name === 'running'));
  if (isDown(spare.state)) throw notUp(spare, options, 'it did not become ready');
  const load = beginLoad(options, plan, sockets);
  try {
    notice(
      `ready; ${load === null ? 'no load' : `${options.load?.ratePerSecond} requests a second to ${plan.url}`}, stop in ${formatDuration(durationMs)}`,
    );
    await interruption.orElse(Promise.race([pause(durationMs, interruption.signal), spare.until(isDown)]));
    if (isDown(spare.state)) throw notUp(spare, options, 'it ended by itself before it was to be stopped');
    const listeners = spare.listeners();
    // A look at /proc holds everything up: the load is to be as it was when the stop begins.
    await interruption.orElse(pause(CALM_MS, interruption.signal));
    load?.stopping();
    spare.stop('drill');
    await spare.until((state) => state.name === 'stopping' && state.exit !== null);
    load?.end();
    await spare.until(isDown);
    interruption.check();
    const facts = load === null ? null : await load.settled();
    const left = await spare.findLeft();
    sockets.close();
    const ports = heldOf([...listeners, ...sockets.inodes]);
    const instance = instanceName(spec.name, spareIndex(spec));
    const report = drillReport({ spec, instance, records: spare.records, load: facts, left, ports, outer });
    return maskedTexts(report, spare.secrets);
  } finally {
    load?.end();
  }
}

function planOf({ spec, env, environment, load }: DrillOptions, sockets: SpareSockets): Plan {
  const present = instanceEnvironment(spec, spareIndex(spec), { token: '', linkPath: null }, environment);
  const moved = [...sockets.moved, ...movedPorts(env, present, spec.ready)];
  const check = spec.ready?.check;
  const its = check?.kind === 'http' ? check.url : null;
  const given = load?.url ?? its;
  if (load !== null && given === null) {
    const hint = 'name one of its own addresses: --url http://127.0.0.1:3000/';
    throw new GsupError(`no URL to ask ${spec.name} at: it has no http readiness check`, {
      exitStatus: EXIT.usage,
      hint,
    });
  }
  const url = load === null || given === null ? null : (movedUrl(given, moved) ?? given);
  return { spec: spareSpec(spec, env, moved), moved, url };
}

/** What listens already where the spare is looked for would answer in its place. @throws {GsupError} */
function refuseTaken(spec: ServiceSpec, plan: Plan, { inodes }: SpareSockets): void {
  const url = plan.url === null ? null : new URL(plan.url);
  if (url !== null && !isLocal(hostOf(url)))
    throw new GsupError(`${url.origin} is not on this machine: the spare is`, {
      exitStatus: EXIT.usage,
      hint: 'name the address that an instance listens on',
    });
  const { ready } = plan.spec;
  const asked = [ready && askedBy(ready.check), url && { host: hostOf(url), port: portOf(url) }];
  for (const one of asked) {
    if (one === null || !isLocal(one.host)) continue;
    const host = one.host === 'localhost' ? '127.0.0.1' : one.host;
    const inode = findListener({ kind: 'tcp', host, port: one.port });
    if (inode === null || inodes.some((own) => own.inode === inode)) continue;
    throw portTaken(spec, one.port, findHolder(inode));
  }
}

function portTaken({ name }: ServiceSpec, port: number | null, holder: Holder | null): GsupError {
  const which = port === null ? 'the port that it binds' : `port ${port}`;
  const by = holder === null ? 'taken' : `held by pid ${holder.pid} (${holder.command})`;
  return new GsupError(`cannot drill ${name}: ${which} is ${by}, and ${name} binds it itself`, {
    exitStatus: EXIT.failed,
    hint: `let gsup bind it (sockets: { http: 127.0.0.1:${port ?? 3000} }), then the spare has its own; or give the spare another one: --env PORT=${(port ?? 3000) + 1}`,
  });
}

function notUp(spare: Spare, { spec }: DrillOptions, what: string): GsupError {
  const text = spare.lines.join('\n');
  if (/EADDRINUSE|address already in use/i.test(text)) {
    const port = Number(/(?:EADDRINUSE|in use)\D*?(?:[\d.:[\]a-f]*:)(\d{2,5})\b/i.exec(text)?.[1] ?? 0);
    const inode = port === 0 ? null : findListener({ kind: 'tcp', host: '::', port });
    return portTaken(spec, port === 0 ? null : port, inode === null ? null : findHolder(inode));
  }
  const last =
    spare.records.findLast(({ phase }) => phase === 'failed') ??
    spare.records.findLast(({ phase }) => phase === 'exited');
  const tail = text === '' ? '' : `\n  the end of its output:\n${spare.lines.map((line) => `  | ${line}`).join('\n')}`;
  const why = last === undefined ? '' : ` (${recordMessage(last)})`;
  return new GsupError(`cannot drill ${spec.name}: ${what}${why}${tail}`, { exitStatus: EXIT.failed });
}

function beginLoad({ load }: DrillOptions, { url }: Plan, { moved }: SpareSockets): Load | null {
  if (load === null || url === null) return null;
  const port = portOf(new URL(url));
  const isShared = moved.some(({ to }) => to.kind === 'tcp' && to.port === port);
  return new Load({ url, ratePerSecond: load.ratePerSecond, isShared });
}

/** Of what was listened on, what still is: nobody but a process that was left behind can. */
function heldOf(all: readonly { readonly inode: string; readonly address: SocketAddress }[]): readonly HeldPort[] {
  const unique = new Map(all.map((one) => [one.inode, one.address]));
  return [...unique].flatMap(([inode, address]) => {
    const holder = findHolder(inode);
    return holder === null ? [] : [{ address: formatAddress(address), ...holder }];
  });
}

type Interruption = {
  readonly signal: AbortSignal;
  /** @throws {GsupError} 130 and the like, when there was a signal. */
  check(): void;
  orElse(promise: Promise<void>): Promise<void>;
  release(): void;
};

/** A signal stops the spare by its ladder, a second SIGINT at once. */
function interruptionOf(spare: Spare): Interruption {
  const aborted = new AbortController();
  const stop = (signal: SignalName): void => {
    if (aborted.signal.aborted) return;
    aborted.abort(signal);
    if (!isDown(spare.state)) spare.stop(signal);
  };
  const release = captureSignals(
    {
      stop,
      force: () => spare.force(),
      forward: (signal) => {
        if (signal === 'SIGHUP' || signal === 'SIGQUIT') stop(signal);
      },
      suspend: () => {},
    },
    false,
  );
  const check = (): void => {
    if (!aborted.signal.aborted) return;
    const signal = aborted.signal.reason as SignalName;
    throw new GsupError(`the drill was interrupted by ${signal}: its spare is stopped, and nothing of it is left`, {
      exitStatus: 128 + signalNumber(signal),
    });
  };
  const orElse = async (promise: Promise<void>): Promise<void> => {
    await promise;
    if (aborted.signal.aborted) await spare.until(isDown);
    check();
  };
  return { signal: aborted.signal, check, orElse, release };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
