/** What the daemon serves over HTTP. */
import { refusalAt } from '../host/socket-failure.ts';
import { usageOf } from '../host/usage.ts';
import { HttpListener } from '../http/listener.ts';
import type { HttpSource, LogQuery } from '../http/source.ts';
import type { Daemon } from './daemon.ts';
import { logStream } from './streams.ts';

export function listenerFor(daemon: Daemon, version: string): HttpListener {
  return new HttpListener({ source: sourceOf(daemon, version) });
}

function sourceOf(daemon: Daemon, version: string): HttpSource {
  const { supervisor } = daemon;
  return {
    version,
    place: daemon.home.folder,
    startedAt: daemon.startedAt,
    state: () => supervisor.state,
    tokenOf: (of) => supervisor.identityOf(of)?.token ?? null,
    statusOf: (of) => supervisor.statusOf(of),
    usage: async () => usageOf(supervisor.processes()),
    logged: () => daemon.logged(),
    onChange: (callback) => daemon.onChange(callback),
    onRecord: (callback) => daemon.onRecord(callback),
    logs: (query, signal) => logStream(daemon, logInput(query), signal),
    act: async (verb, names, tell) => daemon.operations[verb](daemon.refsOf(names), tell),
    notice: (text, level) => daemon.notice(text, level),
    refusal: (host, port, code) => refusalAt({ kind: 'tcp', host, port }, code),
  };
}

function logInput({ name, lines, search, isFollowed }: LogQuery): Parameters<typeof logStream>[1] {
  const grep = search === null ? {} : { grep: patternOf(search) };
  return { names: [name], lines, follow: isFollowed, stderr: false, ...grep };
}

/** Letter by letter, in either case: whoever asks can't give us a pattern that takes for ever. */
function patternOf(text: string): string {
  return [...text]
    .map((letter) => {
      const [low, up] = [letter.toLowerCase(), letter.toUpperCase()];
      const escaped = (one: string) => one.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
      return low === up ? escaped(letter) : `(?:${escaped(low)}|${escaped(up)})`;
    })
    .join('');
}
