/** What is known of a SIGKILL that gsup did not send: whether it was the kernel's OOM killer, and by what that is known. */
import { formatSize } from './size.ts';

/**
 * `yes`: the kernel names the process, or the cgroup that it had alone. `likely`: a cgroup that it shared counts a kill.
 * `no`: what would count a kill counts none. `unknown`: nothing that can be read here tells.
 */
export type OomFinding = {
  readonly verdict: 'yes' | 'likely' | 'no' | 'unknown';
  /** Who told: the kernel's log, the counter of a cgroup, the counter of the machine; `null`: nobody. */
  readonly source: 'kernel-log' | 'cgroup' | 'machine' | null;
  /** Whose memory ran out; `null`: that of the whole machine, or it is not known. */
  readonly cgroup: string | null;
  /** Of that cgroup. */
  readonly limitBytes: number | null;
  /** What the process had when it was killed. */
  readonly residentBytes: number | null;
  /** Kills that the machine has counted since `sinceMs` ago. */
  readonly kills: number | null;
};

export const NO_FINDING: OomFinding = {
  verdict: 'unknown',
  source: null,
  cgroup: null,
  limitBytes: null,
  residentBytes: null,
  kills: null,
};

/** As a sentence. */
export function describeOom(oom: OomFinding = NO_FINDING): string {
  switch (oom.verdict) {
    case 'yes':
      return `the kernel's OOM killer ended it: ${ranOut(oom)}`;
    case 'likely':
      return `it was most likely the kernel's OOM killer: the cgroup ${oom.cgroup} counts a kill, and it was in it`;
    case 'no':
      return "it was not the kernel's OOM killer, which has ended nothing meanwhile";
    case 'unknown':
      return oom.source === 'machine'
        ? `the kernel's OOM killer has ended ${oom.kills === 1 ? 'a process' : `${oom.kills} processes`} of this machine meanwhile; whether this one, is not known`
        : "the kernel's log can't be read here, so whether memory ran out is not known";
  }
}

/** Whose memory it was, as far as that is known: `the memory of cgroup /x (limit 64MiB) ran out; it had 60MiB itself`. */
export function ranOut({ source, cgroup, limitBytes, residentBytes }: OomFinding): string {
  if (source === null) return 'memory ran out';
  const limit = limitBytes === null ? '' : ` (limit ${formatSize(limitBytes)})`;
  const whose = cgroup === null ? 'this machine' : `cgroup ${cgroup}${limit}`;
  const its = residentBytes === null ? '' : `; it had ${formatSize(residentBytes)} itself`;
  return `the memory of ${whose} ran out${its}`;
}
