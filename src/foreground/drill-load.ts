/** A bounded load over HTTP that counts exactly how each request came out, while what answers it is stopped. */
import { Agent, type ClientRequest, type RequestOptions, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { LoadFacts, RequestCounts } from '../core/drill.ts';

export type LoadOptions = {
  readonly url: string;
  readonly ratePerSecond: number;
  /** Whether requests that nobody has taken wait for the next instance: the socket outlives this one. */
  readonly isShared: boolean;
};

type Outcome = keyof RequestCounts;
/** `null`: under way. `hasBytes`: of its answer. */
type Sent = { outcome: Outcome | null; hasBytes: boolean };

const TICK_MS = 10;
const MOST_BEHIND_MS = 50;
const MOST_UNDER_WAY = 500;
/** A kept connection that closes so soon after a request was written was closing already: nobody has read it. */
const CROSSED_MS = 20;
/** For answers and resets that are on their way when the last process has gone. */
const SETTLE_MS = 500;

/** Half of the requests on kept connections, half each on a new one. */
export class Load {
  readonly #options: LoadOptions;
  readonly #agent: Agent | TlsAgent;
  readonly #underWay = new Map<Sent, ClientRequest>();
  readonly #before = noCounts();
  readonly #draining = noCounts();
  readonly #reasons: Record<string, number> = {};
  readonly #timer: NodeJS.Timeout;
  readonly #beganAt = performance.now();
  #due = 0;
  #count = 0;
  #retried = 0;
  #unsent = 0;
  #underWayAtStop = 0;
  #isStopping = false;
  #onSettled = () => {};

  /** Begins at once. */
  constructor(options: LoadOptions) {
    this.#options = options;
    const isTls = options.url.startsWith('https:');
    this.#agent = isTls ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** From now on it is stopping. */
  stopping(): void {
    this.#isStopping = true;
    this.#underWayAtStop = this.#underWay.size;
  }

  /** Nothing more is sent. */
  end(): void {
    clearInterval(this.#timer);
  }

  /** Everything that could answer has gone: what is open yet is settled. */
  async settled(): Promise<LoadFacts> {
    this.end();
    if (this.#underWay.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, SETTLE_MS);
        this.#onSettled = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const [sent, call] of [...this.#underWay]) {
      const isQueued = this.#options.isShared && !sent.hasBytes;
      this.#settle(sent, isQueued ? 'queued' : 'lost', isQueued ? null : 'no answer');
      call.destroy();
    }
    this.#agent.destroy();
    const { url, ratePerSecond } = this.#options;
    return {
      url,
      ratePerSecond,
      before: { ...this.#before },
      draining: { ...this.#draining },
      underWay: this.#underWayAtStop,
      retried: this.#retried,
      unsent: this.#unsent,
      reasons: { ...this.#reasons },
    };
  }

  #tick(): void {
    const wanted = Math.floor(((performance.now() - this.#beganAt) / 1000) * this.#options.ratePerSecond);
    // What could not be sent in time isn't sent in one burst afterwards.
    const due = Math.min(wanted - this.#due, Math.ceil((MOST_BEHIND_MS / 1000) * this.#options.ratePerSecond));
    this.#due = wanted;
    // News of closed connections is taken first: what is written afterwards can hardly cross with them.
    setImmediate(() => {
      for (let n = 0; n < due; n++) {
        if (this.#underWay.size >= MOST_UNDER_WAY) this.#unsent++;
        else this.#send({ outcome: null, hasBytes: false }, this.#count++ % 2 === 0);
      }
    });
  }

  #send(sent: Sent, isKept: boolean): void {
    const options: RequestOptions = { agent: isKept ? this.#agent : false };
    const call = this.#options.url.startsWith('https:')
      ? tlsRequest(this.#options.url, { ...options, rejectUnauthorized: false })
      : request(this.#options.url, options);
    this.#underWay.set(sent, call);
    const writtenAt = performance.now();
    let read = 0;
    const fail = (error: NodeJS.ErrnoException): void => {
      if (sent.outcome !== null) return;
      const isCrossed = isUntouched(call, error, read) && performance.now() - writtenAt < CROSSED_MS;
      if (isCrossed) {
        this.#retried++;
        this.#send(sent, false);
      } else if (error.code === 'ECONNREFUSED') this.#settle(sent, 'refused', null);
      else this.#settle(sent, 'lost', sent.hasBytes ? 'answer cut' : (error.code ?? error.message));
    };
    call.on('socket', (socket) => {
      read = socket.bytesRead;
    });
    call.on('response', (response) => {
      sent.hasBytes = true;
      response.resume();
      response.on('error', fail);
      response.on('end', () => this.#answered(sent, response.statusCode ?? 0));
    });
    call.on('error', fail);
    call.end();
  }

  #answered(sent: Sent, status: number): void {
    if (status < 500) this.#settle(sent, 'answered', null);
    else if (status === 503 && this.#isStopping) this.#settle(sent, 'turnedAway', null);
    else this.#settle(sent, 'failed', `status ${status}`);
  }

  #settle(sent: Sent, outcome: Outcome, reason: string | null): void {
    if (sent.outcome !== null) return;
    sent.outcome = outcome;
    const counts = this.#isStopping ? this.#draining : this.#before;
    counts[outcome]++;
    if (reason !== null) this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    this.#underWay.delete(sent);
    if (this.#underWay.size === 0) this.#onSettled();
  }
}

/** A kept connection that was closed under the request, before any byte of an answer: RFC 9110, 9.2.2. */
function isUntouched(call: ClientRequest, { code }: NodeJS.ErrnoException, read: number): boolean {
  return call.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE') && call.socket?.bytesRead === read;
}

function noCounts(): Record<Outcome, number> {
  return { answered: 0, turnedAway: 0, failed: 0, lost: 0, refused: 0, queued: 0 };
}
