import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatDiagnostics } from '../../src/config/diagnostic.ts';
import { readConfig } from '../../src/config/read.ts';

const TOKEN = '0123456789abcdef-secret';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-http-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function read(http: string, env: Record<string, string> = {}) {
  const file = join(folder, 'supervisor.yaml');
  writeFileSync(file, `http: ${http}\nservices: { api: { command: x } }\n`);
  return readConfig(file, { env });
}

async function specOf(http: string, env: Record<string, string> = {}) {
  const result = await read(http, env);
  return result.ok ? result.spec.http : formatDiagnostics(result.problems, { colour: false });
}

async function problemsOf(http: string): Promise<string> {
  const result = await read(http);
  if (result.ok) return 'no problem';
  return formatDiagnostics(result.problems, { colour: false }).replaceAll(`${folder}/`, '');
}

describe('http of a file', () => {
  test('a port alone is one of this machine only', async () => {
    const spec = { host: '127.0.0.1', port: 9615, token: null, hosts: [] };
    expect(await specOf('{ listen: 9615 }')).toEqual(spec);
    expect(await specOf('{ listen: "9615" }')).toEqual(spec);
    expect(await specOf('{ listen: localhost:9615 }')).toEqual(spec);
  });

  test('a token comes from the environment or a file', async () => {
    const spec = { host: '::', port: 9615, token: TOKEN, hosts: ['gsup.example.com'] };
    writeFileSync(join(folder, 'token'), `${TOKEN}\n`);
    expect(await specOf('{ listen: ":9615", token: "${' + 'T}", hosts: gsup.Example.com }', { T: TOKEN })).toEqual(
      spec,
    );
    expect(await specOf('{ listen: ":9615", tokenFile: token, hosts: [gsup.example.com] }')).toEqual(spec);
  });

  test('a file without it has none', async () => {
    const file = join(folder, 'supervisor.yaml');
    writeFileSync(file, 'services: { api: { command: x } }\n');
    const result = await readConfig(file, { env: {} });
    expect(result.ok && result.spec.http).toBe(null);
  });

  test.each([
    [
      '{ listen: 0.0.0.0:9615 }',
      '1:17 http.listen is 0.0.0.0, which others reach: set http.token or http.tokenFile, or listen on 127.0.0.1:9615',
    ],
    [
      '{ listen: ":9615" }',
      '1:17 http.listen is every address of this machine, which others reach: set http.token or http.tokenFile, or listen on 127.0.0.1:9615',
    ],
    ['{ listen: /run/x.sock }', '1:17 http.listen is a path; expected host:port, or a port'],
    ['{ listen: 0 }', '1:17 http.listen has no port from 1 to 65535: "127.0.0.1:0"'],
    ['{ listen: gsup.io:80 }', '1:17 http.listen has a host name: "gsup.io"; write an address, such as 127.0.0.1 or *'],
    ['{ token: abc }', '1:1 "listen" is missing in http'],
    ['{ listen: 1, tokn: x }', '1:20 unknown key "tokn" in http; did you mean "token"?'],
    [
      '{ listen: 1, hosts: ["http://a.b"] }',
      '1:28 http.hosts: "http://a.b" is no name of a host; expected gsup.example.com, without a port',
    ],
    [
      '{ listen: 1, token: hush }',
      '1:27 http.token: a token has at least 16 characters, not 4; "openssl rand -hex 32" makes one',
    ],
    ['{ listen: 1, token: 1234567890123456 }', '1:27 http.token: expected a text; put it in quotes'],
    ['{ listen: 1, token: "hush hush hush hush" }', '1:27 http.token: a token has no spaces, and nothing beyond ASCII'],
    [`{ listen: 1, token: ${TOKEN}, tokenFile: x }`, '1:52 http has token and tokenFile; one of them is enough'],
  ])('%s is a problem at its place, and tells no token', async (http, problem) => {
    const problems = await problemsOf(http);
    expect(problems.split('\n')[0]).toBe(`supervisor.yaml:${problem}`);
    for (const secret of ['hush', TOKEN, '1234567890123456']) expect(problems).not.toContain(secret);
  });

  test('a token file that is not there is a problem', async () => {
    const problem = `http.tokenFile can't be read: ENOENT of ${folder}/nothing`;
    expect(await problemsOf('{ listen: 1, tokenFile: nothing }')).toBe(
      `supervisor.yaml:1:31 ${problem.replace(`${folder}/`, '')}`,
    );
  });
});
