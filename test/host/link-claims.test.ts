import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLink } from '../../src/host/link.ts';
import { loadNative } from '../../src/host/native.ts';
import { Folder } from '../kit/gsup.ts';
import { News } from '../kit/news.ts';

/** Says hello, and then each line of its stdin. */
const LEADER = `
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
s.sendall(b'%s\\n' % json.dumps({'type': 'hello', 'id': 'token', 'pid': os.getpid()}).encode())
for line in sys.stdin:
    s.sendall(line.encode())
`;

test('a process that says to be the leader of its run is not heard in its place', async (context) => {
  if ((await loadNative()) === null) {
    console.warn('skipped: koffi is missing');
    context.skip();
  }
  using folder = new Folder();
  const path = join(folder.path, 'link.sock');
  const heard = new News<unknown>();
  let leader: number | null = null;
  const link = await openLink({
    path,
    mode: 0o600,
    leaderOf: (token) => (token === 'token' ? leader : undefined),
    hear: (_token, message) => heard.tell(message['by']),
  });
  onTestFinished(() => link.close());
  const child = spawn('python3', ['-c', LEADER, path], { stdio: ['pipe', 'inherit', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  leader = Number(child.pid);
  const say = (by: string) => `${JSON.stringify({ type: 'phase', by })}\n`;
  child.stdin.write(say('leader'));
  await heard.until((all) => all.includes('leader'));
  const liar = connect(path);
  onTestFinished(() => void liar.destroy());
  await once(liar, 'connect');
  liar.write(`${JSON.stringify({ type: 'hello', id: 'token', pid: leader })}\n${say('liar')}`);
  await new Promise((resolve) => liar.write(say('liar again'), resolve));
  const other = connect(path);
  onTestFinished(() => void other.destroy());
  other.write(`${JSON.stringify({ type: 'hello', id: 'token' })}\n${say('last')}`);
  expect(await heard.until((all) => all.includes('last'))).toEqual(['leader', 'last']);
});
