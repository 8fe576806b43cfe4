import { execFile } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Folder } from '../kit/gsup.ts';

test('doctor finds koffi also when the command is a link, as npm install -g makes one', async () => {
  using folder = new Folder();
  const link = join(folder.path, 'gsup');
  symlinkSync(resolve('bin/gsup.js'), link);
  const env = { ...process.env, GSUP_HOME: join(folder.path, 'home') };
  const { stdout } = await promisify(execFile)(process.execPath, [link, 'doctor', '--json'], { env });
  const findings: { check: string; status: string }[] = JSON.parse(stdout);
  expect(findings.find(({ check }) => check === 'native')?.status).toBe('ok');
});
