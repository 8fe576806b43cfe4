/** Descriptors that other processes pass to gsup: the kernel closes them in gsup's name, and that may take long. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { NOBODY } from '../kit/root.ts';

const ANSWER_MS = 2_000;
const LINGER_SECONDS = 20;
const hasPython = spawnSync('python3', ['-c', '']).status === 0;
/** SO_PASSRIGHTS came with Linux 6.16. */
const [major = 0, minor = 0] = release().split('.', 2).map(Number);
const canRefuse = major > 6 || (major === 6 && minor >= 16);
if (!hasPython) console.warn('skipped: without python3 no process passes descriptors');
if (!canRefuse) console.warn('skipped: before Linux 6.16 descriptors cannot be refused');

/** A TCP socket whose last close waits: its peer does not read, and something is left to be sent. */
const LINGERING = `
import array, os, socket, struct, sys, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
server.bind(('127.0.0.1', 0))
server.listen(1)
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.setblocking(False)
try:
    while True: client.send(b'x' * 65536)
except BlockingIOError: pass
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, ${LINGER_SECONDS}))
passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [client.fileno()]))]
`;

async function expectAnswers(home: Home): Promise<void> {
  for (let count = 0; count < 3; count++) {
    const began = performance.now();
    await home.ls();
    expect(performance.now() - began).toBeLessThan(ANSWER_MS);
  }
}

test.skipIf(process.getuid?.() !== 0 || !hasPython || !canRefuse)(
  'a descriptor whose close takes long can not be passed to the daemon over its link',
  async () => {
    await using home = new Home();
    await home.ok(['start', '--name', 'api', '--', 'sleep', '1000']);
    const { pid } = await home.instance('api:0');
    const link = /GSUP_LINK=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1] ?? '';
    const code = `${LINGERING}
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
try:
    link.sendmsg([b'{"type":"hello"'], passed)
    os.close(client.detach())
    print('passed', flush=True)
except PermissionError: print('refused', flush=True)
sys.stdin.read()
os._exit(0)
`;
    const attacker = spawn('python3', ['-c', code, link], {
      ...{ uid: NOBODY, gid: NOBODY, cwd: '/' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(attacker, 'exit');
    try {
      const [said] = await once(attacker.stdout, 'data');
      await expectAnswers(home);
      expect(String(said).trim()).toBe('refused');
    } finally {
      attacker.kill('SIGKILL');
      await ended;
    }
  },
);

test.skipIf(!hasPython)(
  'a descriptor whose close takes long does not hold up the daemon at a notify socket',
  async () => {
    await using home = new Home();
    const code = `${LINGERING}
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ['NOTIFY_SOCKET'])
s.send(b'READY=1')
s.sendmsg([b'FDSTORE=1\\nSTATUS=stored'], passed)
os.close(client.detach())
print('passed', flush=True)
time.sleep(1000)
`;
    const services = { api: { command: ['python3', '-c', code], ready: { notify: true } } };
    const began = performance.now();
    await home.ok(['start', home.write('services.json', JSON.stringify({ services }))]);
    await home.said('api:0', /passed/);
    await expectAnswers(home);
    expect(performance.now() - began).toBeLessThan((LINGER_SECONDS * 1_000) / 2);
  },
);
