import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { exportSystemd, type SystemdOptions } from '../../src/interop/systemd.ts';
import { daemonUnit } from '../../src/interop/systemd-daemon.ts';
import { Folder } from '../kit/gsup.ts';
import { serviceSpec } from '../kit/spec.ts';

const OPTIONS: SystemdOptions = {
  file: '/srv/shop/supervisor.yaml',
  name: 'shop',
  command: [process.execPath, '/usr/lib/node_modules/gsup/bin/gsup.js'],
  path: '/usr/bin:/bin',
  isForUser: false,
  isNative: true,
  isPerService: false,
};
const message = { check: { kind: 'message' as const } };
const db = serviceSpec({
  name: 'db',
  cwd: '/srv/shop',
  stop: { graceMs: 20_000 },
  ready: { ...message, timeoutMs: 60_000 },
});
const api = serviceSpec({
  name: 'api',
  cwd: '/srv/shop',
  dependsOn: { db: 'ready', migrate: 'completed' },
  ready: message,
});
const migrate = serviceSpec({
  name: 'migrate',
  cwd: '/srv/shop',
  dependsOn: { db: 'started' },
  restart: { policy: 'never' },
});
const spec = { services: [api, db, migrate], shutdownTimeoutMs: null };

const hasVerify = existsSync('/usr/bin/systemd-analyze');
if (!hasVerify) console.warn('skipped: systemd-analyze is not installed');

/** What systemd says of units; empty when it has nothing to say. */
function verify(files: Readonly<Record<string, string>>, isForUser = false): string {
  using folder = new Folder(files);
  const paths = Object.keys(files).map((name) => `${folder.path}/${name}`);
  const flags = isForUser ? ['--user'] : [];
  try {
    return execFileSync('systemd-analyze', [...flags, '--man=no', 'verify', ...paths], {
      encoding: 'utf8',
      stdio: 'pipe',
      env: { ...process.env, XDG_RUNTIME_DIR: folder.path },
    });
  } catch (error) {
    return String((error as { stderr?: string }).stderr);
  }
}

const settingOf = (text: string, key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1];

test('one unit: its times are those of the longest start and stop, and a margin', () => {
  const { files, notes } = exportSystemd(spec, OPTIONS);
  expect(notes).toEqual([]);
  expect(files.map(({ name }) => name)).toEqual(['shop.service']);
  const { text = '' } = files[0] ?? {};
  expect(settingOf(text, 'TimeoutStartSec')).toBe('95s');
  expect(settingOf(text, 'TimeoutStopSec')).toBe('45s');
  expect(settingOf(text, 'KillMode')).toBe('mixed');
  expect(settingOf(text, 'ExecStart')).toBe(`${OPTIONS.command.join(' ')} run -c ${OPTIONS.file}`);
});

test('a shutdown timeout is the whole stop', () => {
  const [unit] = exportSystemd({ ...spec, shutdownTimeoutMs: 12_000 }, OPTIONS).files;
  expect(settingOf(unit?.text ?? '', 'TimeoutStopSec')).toBe('17s');
});

test('units per service: dependencies are those of systemd, a job is waited for to its end', () => {
  const { files } = exportSystemd(spec, { ...OPTIONS, isPerService: true });
  expect(files.map(({ name }) => name)).toEqual(['shop-db.service', 'shop-migrate.service', 'shop-api.service']);
  const [database = '', job = '', server = ''] = files.map(({ text }) => text);
  expect(settingOf(database, 'ExecStart')).toContain('--no-deps db');
  expect(settingOf(job, 'Type')).toBe('oneshot');
  expect(settingOf(job, 'RemainAfterExit')).toBe('yes');
  expect(job).toContain('Wants=shop-db.service\nAfter=shop-db.service\n');
  expect(server).toContain('Requires=shop-migrate.service\nAfter=shop-migrate.service\n');
});

test('what has no counterpart per service is said', () => {
  const services = [serviceSpec({ name: 'api', critical: true })];
  const { notes } = exportSystemd({ services, shutdownTimeoutMs: 1_000 }, { ...OPTIONS, isPerService: true });
  expect(notes).toEqual([
    'api: critical ends its own unit only; what has to end with it needs BindsTo=shop-api.service',
    'shutdown.timeout has no counterpart for units per service: systemd stops each within its own TimeoutStopSec',
  ]);
});

test('a folder that a service is in is not hidden from it', () => {
  const [unit] = exportSystemd({ ...spec, services: [{ ...db, cwd: '/home/me/shop' }] }, OPTIONS).files;
  expect(unit?.text).toContain('# /home/me/shop is there.\nProtectHome=no\n');
  expect(settingOf(unit?.text ?? '', 'PrivateTmp')).toBe('yes');
});

describe.skipIf(!hasVerify)('systemd has nothing to say of', () => {
  // Its own file must be there for ExecStart= to be believed.
  const command = [process.execPath, '/bin/true'];
  const odd = serviceSpec({ name: 'odd', env: { X: '50% "of" $A' }, cwd: '/srv' });

  test.each([
    ['one unit', {}],
    ['units per service', { isPerService: true }],
    ['one unit for a user', { isForUser: true }],
    ['units per service for a user', { isForUser: true, isPerService: true }],
    ['a unit without koffi', { isNative: false }],
    ['a file with an odd name', { file: '/srv/50% of "it"/super visor.yaml' }],
  ])('%s', (_, more: Partial<SystemdOptions>) => {
    const options = { ...OPTIONS, command, ...more };
    const { files } = exportSystemd({ ...spec, services: [...spec.services, odd] }, options);
    expect(verify(Object.fromEntries(files.map(({ name, text }) => [name, text])), options.isForUser)).toBe('');
  });

  test.each([
    ['the daemon', {}],
    ["a user's daemon", { isForUser: true }],
    ['a daemon with a file, as somebody', { file: '/etc/gsup/s.yaml', stopMs: 10_000, user: 'nobody' }],
  ])('%s', (_, more) => {
    const unit = { command, home: '/var/lib/gsup', file: null, stopMs: null, path: '/usr/bin', user: null };
    const text = daemonUnit({ ...unit, isForUser: false, isNative: true, ...more });
    expect(verify({ 'gsup.service': text }, 'isForUser' in more)).toBe('');
  });
});
