/** Keeps the service manager around us up to date: what changed is said, and that we are well at half of its interval. */
import { type ManagerNews, managerNews } from '../core/manager.ts';
import type { SupervisorState } from '../core/root-state.ts';
import { openServiceManager, type ServiceManager } from '../host/service-manager.ts';
import { systemClock } from './clock.ts';

type ReporterOptions = {
  readonly manager: ServiceManager;
  readonly state: () => SupervisorState;
  /** See `managerNews`. */
  readonly isPatient: boolean;
  /** Whether all that is to be started has been asked to. Default: it has. */
  readonly hasBegun?: () => boolean;
};

/** `null` when there is no service manager that wants to be told. `onProblem` hears why it can't be, once. */
export async function openReporter({
  environment,
  onProblem,
  ...options
}: Omit<ReporterOptions, 'manager'> & {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onProblem: (problem: string) => void;
}): Promise<Reporter | null> {
  const manager = await openServiceManager(environment, onProblem);
  return manager === null ? null : new Reporter({ manager, ...options });
}

/** The reporter of one supervisor. */
class Reporter {
  readonly #options: ReporterOptions;
  readonly #watchdog: NodeJS.Timeout | null = null;
  #last: ManagerNews | null = null;
  #isDue = false;
  #isReady = false;
  #isReloading = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    const { watchdogMs } = options.manager;
    // A loop that hangs runs no timers: that it is not heard of is what the watchdog is for.
    if (watchdogMs !== null) {
      this.#watchdog = setInterval(() => this.#feed(), watchdogMs / 2);
      this.#watchdog.unref();
    }
    this.changed();
  }

  /** Something has changed; it is said once for all changes of a turn. */
  changed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#report();
    });
  }

  /** The configuration is read again, until `reloaded`. */
  reloading(): void {
    this.#isReloading = true;
    // systemd 253 and later tell reloads apart by it (Type=notify-reload).
    const usec = process.hrtime.bigint() / 1000n;
    this.#options.manager.tell(['RELOADING=1', `MONOTONIC_USEC=${usec}`, 'STATUS=reading the configuration again']);
  }

  reloaded(): void {
    this.#isReloading = false;
    this.#last = null;
    this.#isReady = false;
    this.changed();
  }

  /** The last news are said, and nothing more. */
  async close(): Promise<void> {
    if (this.#watchdog !== null) clearInterval(this.#watchdog);
    this.#report();
    this.#isDue = true;
    await this.#options.manager.flush();
  }

  #report(): void {
    if (this.#isReloading) return;
    const { manager, state, isPatient } = this.#options;
    const news = managerNews(state(), systemClock.now(), isPatient);
    const lines = this.#linesOf(news);
    this.#last = news;
    if (lines.length > 0) manager.tell(lines);
  }

  #linesOf(news: ManagerNews): string[] {
    const last = this.#last;
    const lines: string[] = [];
    if (news.isStopping && last?.isStopping !== true) lines.push('STOPPING=1');
    const { hasBegun = () => true } = this.#options;
    if (!news.isStopping && news.isReady && hasBegun() && !this.#isReady) {
      this.#isReady = true;
      lines.push('READY=1');
    }
    // Each wave that ends leaves less to be done.
    if (news.stopMs !== null && last?.status !== news.status)
      lines.push(`EXTEND_TIMEOUT_USEC=${Math.ceil(news.stopMs) * 1000}`);
    if (news.status !== last?.status) lines.push(`STATUS=${news.status}`);
    return lines;
  }

  #feed(): void {
    const { manager, state, isPatient } = this.#options;
    if (managerNews(state(), systemClock.now(), isPatient).isWell) manager.tell(['WATCHDOG=1']);
  }
}
