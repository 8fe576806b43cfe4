import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { identityOf } from '../../src/host/identity.ts';
import { findAccount, findGroup, groupsOf, parseId } from '../../src/host/user.ts';
import { memberOfGroups, testAsRoot } from '../kit/root.ts';

test('an account is found by name, and by number', () => {
  const root = { name: 'root', uid: 0, gid: 0 };
  expect(findAccount('root')).toMatchObject(root);
  expect(findAccount('0')).toMatchObject(root);
  expect(findAccount('no-such-user')).toBe(null);
  expect(findAccount('')).toBe(null);
  expect(findAccount('--help')).toBe(null);
});

test('a number that is too large is nobody, least of all root', () => {
  for (const number of ['4294967296', '4294967295', '2147483648', '18446744073709551616', '-1', '1e3', '0x0', ' 0']) {
    expect(parseId(number)).toBe(null);
    expect(findAccount(number)).toBe(null);
    expect(() => findGroup(number)).toThrow('cannot find the group');
    expect(() => identityOf({ user: number, group: '0' })).toThrow('cannot find the user');
  }
});

test('the groups of an account are its own and those that list it', () => {
  const member = memberOfGroups();
  if (member === null) return console.warn('skipped: nobody in /etc/group is in a second group');
  const account = findAccount(member.name);
  if (account === null) throw new Error('no account');
  expect([...groupsOf(account, account.gid)].sort((a, b) => a - b)).toEqual(member.gids);
});

testAsRoot('whom a service runs as', () => {
  const [, , , nogroup] = /^nobody:([^:]*):(\d+):(\d+)/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  expect(identityOf({ user: null, group: null })).toBe(null);
  expect(identityOf({ user: 'nobody', group: null })).toMatchObject({ gid: Number(nogroup) });
  expect(identityOf({ user: 'nobody', group: '7' })).toMatchObject({ gid: 7, groups: [7] });
  expect(identityOf({ user: null, group: '7' })).toMatchObject({ uid: 0, gid: 7, groups: [7], account: null });
  expect(identityOf({ user: '54321', group: '7' })).toEqual({ uid: 54_321, gid: 7, groups: [7], account: null });
  expect(() => identityOf({ user: '54321', group: null })).toThrow('no account has this number');
});
