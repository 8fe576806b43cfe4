import { expect, test } from 'vitest';
import { createClient, isNobodyThere } from '../../src/api/client.ts';
import { homeOf } from '../../src/api/home.ts';
import { isGsupError } from '../../src/core/error.ts';
import { Folder } from '../kit/gsup.ts';

test('a daemon that is not there, where none is to be started, is told as one that went away', async () => {
  using folder = new Folder();
  const client = createClient(homeOf({ GSUP_HOME: folder.path }));
  const error = await client.ping({}).catch((thrown: unknown) => thrown);
  expect(isGsupError(error) && error.message).toBe('the daemon went away');
  expect(isNobodyThere(error)).toBe(true);
});

test('one that is gone again after it was started is told so too, and tried no more', async () => {
  using folder = new Folder();
  let starts = 0;
  const start = async () => {
    starts++;
  };
  const client = createClient(homeOf({ GSUP_HOME: folder.path }), { start });
  await expect(client.ping({})).rejects.toThrow('the daemon went away');
  expect(starts).toBe(1);
});
