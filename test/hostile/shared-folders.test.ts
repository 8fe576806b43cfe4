/** Folders that other users may write to: what they prepare there neither harms nor stops gsup. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { homeKey, homeOf } from '../../src/api/home.ts';
import { Home } from '../kit/home.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const NODE = process.env['TEST_NODE'] ?? process.execPath;
const CEILING_MS = 20_000;
const ATTACKER = { uid: 65_534, gid: 65_534 };
const VICTIM = { uid: 4_321, gid: 4_321 };
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: only root can play several users');

/** An app that says it is ready over its link, prints where that is each time it is connected, and connects again. */
const APP = `
const { GSUP_LINK, GSUP_ID } = process.env;
const connect = () => {
  const socket = require('node:net').connect(GSUP_LINK);
  socket.on('connect', () => console.log(GSUP_LINK));
  for (const message of [{ type: 'hello', id: GSUP_ID, pid: process.pid }, { type: 'ready' }])
    socket.write(JSON.stringify(message) + '\\n');
  socket.on('error', () => {});
  socket.on('close', () => setTimeout(connect, 20));
};
connect();
setInterval(() => {}, 1000);`;

/**
 * Prepares a tree under the old name of the folder of each pid from FROM on, tells so, and swaps the folder in the tree
 * for a link to the victim's as soon as anything is removed from it.
 */
const SWAPPER = `
const { mkdirSync, writeFileSync, renameSync, symlinkSync, statSync } = require('node:fs');
const [shared, victim, from, count, names] = process.argv.slice(1);
const trees = [];
for (let at = 0; at < Number(count); at++) {
  const tree = shared + '/gsup-run-' + (Number(from) + at);
  const d = tree + '/d';
  mkdirSync(d, { recursive: true, mode: 0o777 });
  const isLikely = at < 3;
  for (let i = 0; isLikely && i < 3000; i++) writeFileSync(d + '/filler' + i, '');
  for (const name of isLikely ? names.split(',') : ['one']) writeFileSync(d + '/' + name, '');
  trees.push({ d, was: statSync(d).mtimeMs });
}
process.stdout.write('prepared\\n');
for (;;) {
  for (const { d, was } of trees) {
    try {
      if (statSync(d).mtimeMs === was) continue;
      renameSync(d, d + '-aside');
      symlinkSync(victim, d);
    } catch {}
  }
}`;

const isLink = (name: string) => /^link-[\da-f]{16}\.sock$/.test(name);

/** A sticky folder that everybody may write to, as /tmp is, and all that has been started, gone afterwards. */
class Shared implements AsyncDisposable {
  readonly outer = mkdtempSync(join(tmpdir(), 'gsup-hostile-'));
  readonly path = join(this.outer, 'tmp');
  readonly #children = new Set<ChildProcess>();

  constructor() {
    chmodSync(this.outer, 0o755);
    mkdirSync(this.path);
    chmodSync(this.path, 0o1777);
  }

  /** A folder of its own for a user. */
  folderOf({ uid, gid }: typeof VICTIM, name: string): string {
    const path = join(this.outer, name);
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, uid, gid);
    return path;
  }

  start(argv: readonly string[], user: typeof VICTIM | null, env: Readonly<Record<string, string>> = {}): Started {
    const [file = '', ...args] = argv;
    const child = spawn(file, args, {
      env: { PATH: process.env['PATH'] ?? '', HOME: this.outer, TMPDIR: this.path, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(user ?? {}),
    });
    this.#children.add(child);
    return new Started(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    }
    rmSync(this.outer, { recursive: true, force: true });
  }
}

class Started {
  readonly child: ChildProcess;
  text = '';
  readonly #looks = new Set<() => void>();

  constructor(child: ChildProcess) {
    this.child = child;
    const take = (part: string): void => {
      this.text += part;
      for (const look of [...this.#looks]) look();
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    // What it started may keep its output open.
    for (const event of ['exit', 'close']) child.once(event, () => take(''));
  }

  /** Resolves with the first group of the pattern as soon as it has been written. */
  async wrote(pattern: RegExp): Promise<string> {
    const found = await this.#until(`${pattern}`, () => pattern.exec(this.text) ?? undefined);
    return found[1] ?? '';
  }

  async ended(): Promise<number | string> {
    return this.#until('the end', () => this.child.exitCode ?? this.child.signalCode ?? undefined);
  }

  #until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((done, fail) => {
      const look = (): void => {
        const found = find();
        if (found === undefined) return;
        clearTimeout(timer);
        this.#looks.delete(look);
        done(found);
      };
      const timer = setTimeout(() => fail(new Error(`waited in vain for ${what}:\n${this.text}`)), CEILING_MS);
      this.#looks.add(look);
      look();
    });
  }
}

/** `gsup …` by a shell that says its pid first and waits for a word, under a umask. */
function gsupAfterWord(args: readonly string[], umask: string): readonly string[] {
  const script = `umask ${umask}; echo "pid $$"; read -r word; exec "$@"`;
  return ['/bin/sh', '-c', script, 'sh', NODE, join(ROOT, 'bin/gsup.js'), ...args];
}

test.skipIf(!isRoot).each([
  { who: 'root', user: null, umask: '0' },
  { who: 'root', user: null, umask: '002' },
  { who: 'another user', user: VICTIM, umask: '0' },
  { who: 'another user', user: VICTIM, umask: '022' },
])(
  '"gsup run" of $who removes nothing that an attacker has put in its way, and has its link (umask $umask)',
  async ({ user, umask }) => {
    await using shared = new Shared();
    const precious = shared.folderOf(user ?? { uid: 0, gid: 0 }, 'precious');
    chmodSync(precious, 0o755);
    const names = Array.from({ length: 200 }, (_, index) => `victim${String(index).padStart(3, '0')}`);
    for (const name of names) {
      writeFileSync(join(precious, name), '');
      if (user !== null) chownSync(join(precious, name), user.uid, user.gid);
    }
    const argv = ['run', '--log-format', 'json', '--ready', 'message', '--', NODE, '-e', APP];
    const run = shared.start(gsupAfterWord(argv, umask), user);
    const pid = await run.wrote(/^pid (\d+)$/m);
    const swapper = shared.start([NODE, '-e', SWAPPER, shared.path, precious, pid, '200', names.join(',')], ATTACKER);
    await swapper.wrote(/prepared/);
    run.child.stdin?.write('go\n');
    await run.wrote(/"phase":"spawned"/);
    expect(readdirSync(precious).sort()).toEqual(names);
    const link = await run.wrote(/^(\/.*\/link[^/\s]*\.sock)$/m);
    await run.wrote(/"phase":"ready"/);
    const folder = lstatSync(dirname(link));
    expect([folder.uid, (folder.mode & 0o777).toString(8)]).toEqual(user === null ? [0, '711'] : [user.uid, '700']);
    run.child.kill('SIGTERM');
    await run.ended();
    expect(existsSync(dirname(link))).toBe(false);
    expect(readdirSync(precious).sort()).toEqual(names);
  },
);

/** A home with a path too long for a socket, and commands of its owner. */
class LongHome {
  readonly path: string;
  readonly #shared: Shared;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.path = join(shared.folderOf(VICTIM, 'a'.repeat(90)), 'home');
    mkdirSync(this.path, { mode: 0o700 });
    chownSync(this.path, VICTIM.uid, VICTIM.gid);
  }

  /** Where anybody could expect its link before names were random. */
  get guessed(): string {
    return join(this.#shared.path, `gsup-${VICTIM.uid}-${homeKey(homeOf({ GSUP_HOME: this.path }))}`);
  }

  async run(...args: readonly string[]): Promise<string> {
    const command = this.#shared.start([NODE, join(ROOT, 'bin/gsup.js'), ...args], VICTIM, { GSUP_HOME: this.path });
    const status = await command.ended();
    expect([args[0], status, command.text]).toEqual([args[0], 0, expect.any(String)]);
    return command.text;
  }

  /** kill -9 of the daemon that started last. */
  async killDaemon(): Promise<void> {
    const events = readFileSync(join(this.path, 'events.ndjson'), 'utf8');
    const pid = Number([...events.matchAll(/"phase":"supervisor-started","pid":(\d+)/g)].at(-1)?.[1]);
    process.kill(pid, 'SIGKILL');
    await until('the end of the daemon', () => (isGone(pid) ? true : undefined));
  }

  /** The links that the app was connected to, one after the other. */
  async links(count: number): Promise<readonly string[]> {
    const file = join(this.path, 'logs/api:0.log');
    return until(`${count} lines of the app`, () => {
      const lines = existsSync(file) ? readFileSync(file, 'utf8').match(/\/\S*link[^/\s]*\.sock/g) : null;
      return lines !== null && lines.length >= count ? lines : undefined;
    });
  }
}

/** Waits for a fact of the file system or of a process of another user. */
async function until<T>(what: string, find: () => T | undefined): Promise<T> {
  const end = performance.now() + CEILING_MS;
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

function isGone(pid: number): boolean {
  try {
    return /^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return true;
  }
}

test.skipIf(!isRoot).each([
  { what: 'a symbolic link', plant: (target: string, path: string) => symlinkSync(target, path) },
  { what: 'a folder', plant: (_: string, path: string) => mkdirSync(path, { mode: 0o777 }) },
])('$what of an attacker in the place of the link of a long home changes and stops nothing', async ({ plant }) => {
  await using shared = new Shared();
  const secret = shared.folderOf(VICTIM, 'private');
  const home = new LongHome(shared);
  plant(secret, home.guessed);
  lchownSync(home.guessed, ATTACKER.uid, ATTACKER.gid);
  try {
    await home.run('start', '--name', 'api', '--ready', 'message', '--', NODE, '-e', APP);
    const [link = ''] = await home.links(1);
    expect((lstatSync(dirname(link)).mode & 0o777).toString(8)).toBe('700');
    expect(lstatSync(dirname(link)).uid).toBe(VICTIM.uid);
    expect(dirname(link)).not.toBe(home.guessed);
    expect((lstatSync(secret).mode & 0o777).toString(8)).toBe('700');
    expect(readdirSync(secret)).toEqual([]);
    // Services keep the path: the next daemon has to be there.
    await home.killDaemon();
    await home.run('ls');
    expect(await home.links(2)).toEqual([link, link]);
    await home.run('kill');
    expect(existsSync(dirname(link))).toBe(false);
  } finally {
    await home.run('kill');
  }
});

test.skipIf(!isRoot)(
  'a link folder that was cleared away, and whose name an attacker took, is made anew elsewhere',
  async () => {
    await using shared = new Shared();
    const home = new LongHome(shared);
    try {
      await home.run('start', '--name', 'api', '--ready', 'message', '--', NODE, '-e', APP);
      const [link = ''] = await home.links(1);
      await home.killDaemon();
      rmSync(dirname(link), { recursive: true });
      await home.run('ls');
      expect(await home.links(2)).toEqual([link, link]);
      await home.killDaemon();
      rmSync(dirname(link), { recursive: true });
      mkdirSync(dirname(link));
      chownSync(dirname(link), ATTACKER.uid, ATTACKER.gid);
      await home.run('restart', 'api');
      const [, , next = ''] = await home.links(3);
      expect(dirname(next)).not.toBe(dirname(link));
      expect(readdirSync(dirname(link))).toEqual([]);
    } finally {
      await home.run('kill');
    }
  },
);

test.skipIf(!isRoot).each([
  { who: 'root', user: null },
  { who: 'another user', user: VICTIM },
])(
  'what a killed "gsup run" of $who left is removed by the next one, and nothing that only looks like it',
  async ({ user }) => {
    await using shared = new Shared();
    const sleep = ['run', '--log-format', 'json', '--', '/bin/sh', '-c', 'echo "$GSUP_LINK"; exec sleep 1000'];
    const begin = async () => {
      const run = shared.start([NODE, join(ROOT, 'bin/gsup.js'), ...sleep], user);
      const link = await run.wrote(/^(\/.*\/link[^/\s]*\.sock)$/m);
      return { run, folder: dirname(link), service: Number(await run.wrote(/"phase":"spawned".*?"pid":(\d+)/)) };
    };
    const killed = await begin();
    const parent = dirname(killed.folder);
    const made: string[] = [];
    const plant = (name: string, owner: typeof VICTIM): string => {
      const path = join(parent, name);
      made.push(path);
      mkdirSync(path);
      writeFileSync(join(path, 'owner'), readFileSync(join(killed.folder, 'owner')));
      for (const each of [join(path, 'owner'), path]) chownSync(each, owner.uid, owner.gid);
      return path;
    };
    const services = [killed.service];
    try {
      const owner = user ?? { uid: 0, gid: 0 };
      const precious = shared.folderOf(owner, 'precious');
      for (const name of ['owner', 'link.sock'])
        writeFileSync(join(precious, name), readFileSync(join(killed.folder, 'owner')));
      for (const name of ['owner', 'link.sock']) chownSync(join(precious, name), owner.uid, owner.gid);
      const foreign = plant('gsup-run-foreig', ATTACKER);
      const open = plant('gsup-run-openbb', owner);
      chmodSync(open, 0o777);
      const filled = plant('gsup-run-filled', owner);
      writeFileSync(join(filled, 'notes'), '');
      made.push(join(parent, 'gsup-run-linked'));
      symlinkSync(precious, join(parent, 'gsup-run-linked'));
      const living = await begin();
      services.push(living.service);
      killed.run.child.kill('SIGKILL');
      await killed.run.ended();
      expect(existsSync(killed.folder)).toBe(true);
      const next = await begin();
      services.push(next.service);
      await until('the old folder to be gone', () => (existsSync(killed.folder) ? undefined : true));
      expect(readdirSync(precious).sort()).toEqual(['link.sock', 'owner']);
      expect(readdirSync(foreign)).toEqual(['owner']);
      expect(readdirSync(open)).toEqual(['owner']);
      expect(readdirSync(filled)).toContain('notes');
      expect(readdirSync(living.folder).some(isLink)).toBe(true);
      for (const { run } of [living, next]) {
        run.child.kill('SIGTERM');
        await run.ended();
      }
    } finally {
      for (const pid of services) if (!isGone(pid)) process.kill(pid, 'SIGKILL');
      for (const path of [...made, killed.folder]) rmSync(path, { recursive: true, force: true });
    }
  },
);

test.skipIf(!isRoot)(
  "what services of other users execute is root's and closed to others, under umask 0 too",
  async () => {
    await using shared = new Shared();
    const config = join(shared.outer, 'supervisor.yaml');
    const web = {
      command: [
        NODE,
        '-e',
        `console.log(process.env.GSUP_LINK); require('node:http').createServer().listen('${shared.outer}/web/s')`,
      ],
      user: 'nobody',
      sockets: { http: `unix:${shared.outer}/web/s` },
    };
    shared.folderOf(ATTACKER, 'web');
    writeFileSync(config, JSON.stringify({ services: { web } }));
    const run = shared.start(gsupAfterWord(['run', '-c', config], '0'), null);
    run.child.stdin?.write('go\n');
    const link = await run.wrote(/(\/\S*\/link[^/\s]*\.sock)/);
    const modeOf = (path: string) => [lstatSync(path).uid, (lstatSync(path).mode & 0o777).toString(8)];
    expect(modeOf(dirname(link))).toEqual([0, '711']);
    expect(modeOf(join(dirname(link), 'listen.cjs'))).toEqual([0, '644']);
    run.child.kill('SIGTERM');
    expect(await run.ended()).toBe(0);
    expect(existsSync(dirname(link))).toBe(false);
  },
);

test.skipIf(!isRoot).each([
  {
    what: 'a link of another user',
    path: (shared: Shared) => join(shared.path, 'home'),
    word: 'is a symbolic link of the user 65534',
  },
  {
    what: 'a folder in one of another user',
    path: (shared: Shared) => join(shared.folderOf(ATTACKER, 'theirs'), 'home'),
    word: 'can be replaced by other users',
  },
])('root refuses a home that is $what, and changes nothing there', async ({ what, path, word }) => {
  await using shared = new Shared();
  const home = path(shared);
  const target = shared.folderOf({ uid: 0, gid: 0 }, 'target');
  chmodSync(target, 0o755);
  if (what.startsWith('a link')) {
    symlinkSync(target, home);
    lchownSync(home, ATTACKER.uid, ATTACKER.gid);
  }
  const command = shared.start([NODE, join(ROOT, 'bin/gsup.js'), 'start', '--name', 'api', '--', 'sleep', '1'], null, {
    GSUP_HOME: home,
  });
  expect(await command.ended()).toBe(1);
  expect(command.text).toContain(`cannot use the home ${home}: it ${word}`);
  expect([(statSync(target).mode & 0o777).toString(8), readdirSync(target)]).toEqual(['755', []]);
});

test.skipIf(!isRoot)('a home below a folder that root has left open to others is used with a warning', async () => {
  await using home = new Home();
  chmodSync(home.folder, 0o777);
  await home.ok(['ls']);
  const { reason } = await home.record('notice');
  expect(reason).toBe(`the home can be replaced by users who may change ${home.folder}`);
});

test.skipIf(!isRoot)(
  "another user finds the link of root's daemon nowhere, and it stays the same over a kill -9",
  async () => {
    await using home = new Home();
    await home.ok(['start', '--name', 'api', '--', 'sleep', '1000']);
    const linkOf = async (name: string) => {
      const { pid } = await home.instance(name);
      return /GSUP_LINK=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1] ?? '';
    };
    const link = await linkOf('api:0');
    expect(isLink(basename(link))).toBe(true);
    expect(statSync(link).isSocket()).toBe(true);
    // Neither by its folder, nor by the names of sockets that the kernel shows to every user.
    expect(statSync(dirname(link)).mode & 0o777).toBe(0o711);
    expect(readFileSync('/proc/net/unix', 'utf8')).not.toContain(basename(link));
    await home.killDaemon();
    await home.ok(['start', '--name', 'web', '--', 'sleep', '1000']);
    expect(await linkOf('web:0')).toBe(link);
  },
);
