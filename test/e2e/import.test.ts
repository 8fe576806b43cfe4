/** Files of PM2 and foreman with the built gsup: imported, and used as they are. */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, fixture, freePort, Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const ECOSYSTEM = fixture('ecosystem');

/** The fixtures in a folder of the test's own. */
class Project extends Folder {
  constructor(files: Readonly<Record<string, string>> = {}) {
    super();
    cpSync(ECOSYSTEM, this.path, { recursive: true });
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }
}

async function gsup(cwd: string, ...args: string[]) {
  await using run = new Gsup(args, { cwd });
  const status = await run.status();
  return { status, stdout: run.output, stderr: run.stderr };
}

function body(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

const files = [
  'ecosystem.config.cjs',
  'ecosystem.config.mjs',
  'process.yaml',
  'one-app.json',
  'list.json',
  'by-pm2-key.config.cjs',
  'Procfile',
];
test.concurrent.each(files)('what is imported from %s is valid, and so is the file itself', async (file) => {
  using project = new Project();
  const imported = await gsup(project.path, 'import', file, '-o', 'supervisor.yaml');
  expect(imported).toMatchObject({ status: 0, stdout: '' });
  expect(imported.stderr).toContain('wrote supervisor.yaml; next: gsup validate supervisor.yaml\n');
  const ours = await gsup(project.path, 'validate', 'supervisor.yaml');
  expect(ours).toMatchObject({ status: 0, stderr: '' });
  const theirs = await gsup(project.path, 'validate', file);
  expect(theirs).toMatchObject({ status: 0, stdout: ours.stdout });
});

test.concurrent('the YAML is on stdout, the notes are on stderr and beside what they are about', async () => {
  const { status, stdout, stderr } = await gsup(ECOSYSTEM, 'import', 'ecosystem.config.cjs', '--env', 'production');
  expect(status).toBe(0);
  expect(stdout).toBe(readFileSync(join(ECOSYSTEM, 'imported.yaml'), 'utf8'));
  expect(stderr.split('\n')).toContain(
    'ecosystem.config.cjs: nightly: out_file: "./report.log": gsup keeps and rotates the output itself; "gsup logs" shows it, the files are in GSUP_HOME/logs',
  );
  const json = await gsup(ECOSYSTEM, 'import', 'one-app.json', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    config: { services: { server: { instances: 2, stop: { killMode: 'leader' } } } },
    notes: [{ service: 'server', key: 'instances' }],
  });
  expect(json.stderr).toBe('');
});

test.concurrent('a file is not overwritten without --force, and in another folder the paths follow', async () => {
  using project = new Project();
  using other = new Folder({ 'supervisor.yaml': 'mine' });
  const output = join(other.path, 'supervisor.yaml');
  const again = await gsup(project.path, 'import', 'one-app.json', '-o', output);
  expect(again).toMatchObject({ status: 1 });
  expect(again.stderr).toContain('is there already\n  overwrite it with --force, or write another with -o FILE\n');
  expect(await gsup(project.path, 'import', 'one-app.json', '-o', output, '--force')).toMatchObject({ status: 0 });
  const { stdout } = await gsup(other.path, 'validate', '--json');
  expect(JSON.parse(stdout).services[0]).toMatchObject({
    cwd: project.path,
    program: { script: join(project.path, 'server.cjs') },
  });
});

test.concurrent('what is wrong is told with its place, exit 78', async () => {
  const broken = 'module.exports = {\n  apps: [{ script: "a" name: "b" }] };\n';
  using project = new Folder({
    'ecosystem.config.cjs': broken,
    'ecosystem.config.mjs': broken.replace('module.exports =', 'export default'),
    'throws.config.cjs': '\nthrow new Error("boom");',
    'process.config.cjs': '',
    'Procfile.dev': 'web node x\n',
    'other.yaml': 'a: 1\n',
  });
  for (const command of [['import'], ['start'], ['run', '-c'], ['apply', '-c'], ['validate']]) {
    const { status, stderr } = await gsup(project.path, ...command, 'ecosystem.config.cjs');
    expect([command, status, stderr]).toEqual([
      command,
      78,
      `ecosystem.config.cjs:2:24 cannot be loaded: Unexpected identifier 'name'
  2 |   apps: [{ script: "a" name: "b" }] };
    |                        ^^^^\n`,
    ]);
  }
  const first = async (file: string) => (await gsup(project.path, 'import', file)).stderr.split('\n')[0];
  expect(await first('ecosystem.config.mjs')).toBe(
    "ecosystem.config.mjs:2:24 cannot be loaded: Unexpected identifier 'name'",
  );
  expect(await first('throws.config.cjs')).toBe('throws.config.cjs:2:7 cannot be loaded: boom');
  expect(await first('process.config.cjs')).toBe(
    'process.config.cjs: no ecosystem file: it has no apps; it is a list of apps, or { apps: [{ name, script }] }',
  );
  expect(await first('Procfile.dev')).toBe('Procfile.dev:1:1 expected "name: command"');
  expect(await first('other.yaml')).toBe('other.yaml: is neither an ecosystem file of PM2 nor a Procfile');
  expect(await first('missing.json')).toBe('missing.json: does not exist; "gsup init" writes one');
});

test.concurrent('start takes an ecosystem file as it is: a cluster shares its port, --env and --only count', async () => {
  await using home = new Home();
  const port = await freePort();
  const file = readFileSync(join(ECOSYSTEM, 'ecosystem.config.cjs'), 'utf8');
  using project = new Project({
    'ecosystem.config.cjs': file.replace('18002', String(port)).replace("'max'", '2').replace('HTTP API', 'http'),
  });
  const started = await home.run(['start', 'ecosystem.config.cjs', '--env', 'production', '--only', 'http,worker'], {
    cwd: project.path,
  });
  expect(started).toMatchObject({ status: 0 });
  expect(started.stderr.split('\n').slice(0, 3)).toEqual([
    expect.stringContaining(`ecosystem.config.cjs: http: env.PORT: gsup opens port ${port} for all of its instances`),
    expect.stringContaining(
      "ecosystem.config.cjs: http: ready.timeout: an app that does not say 'ready' within 5s is a failed",
    ),
    'ecosystem.config.cjs: 2 keys have no counterpart, or another meaning (out_file, deploy): "gsup import ecosystem.config.cjs" shows them',
  ]);
  expect((await home.ls()).map(({ id: _, service, index, state, ready }) => [service, index, state, ready])).toEqual([
    ['http', 0, 'running', true],
    ['http', 1, 'running', true],
    ['worker', 0, 'running', true],
  ]);
  expect(await body(port)).toMatch(/^\d+ [01] production \{"search":true\}\n$/);
  await home.said('worker:0', /worker \["--queue","mail","two words"\] --max-old-space-size=64/);
  expect((await home.ok(['reload', 'http'])).stderr).toContain('http:1');
  expect(await body(port)).toMatch(/production/);
  await home.ok(['stop', 'http']);
  await home.said('http:0', /ends by SIGINT/);
});

test.concurrent('apply takes one too, and --env NAME is for such files only', async () => {
  await using home = new Home();
  using project = new Project({ 'supervisor.yaml': 'services: { a: { command: sleep 1000 } }' });
  const cwd = project.path;
  const plan = await home.ok(['apply', '-c', 'list.json', '--dry-run'], { cwd });
  expect(plan.stdout).toMatch(/server\b[\s\S]*server-2/);
  const wrong = await home.run(['start', 'supervisor.yaml', '--env', 'production'], { cwd });
  expect(wrong).toMatchObject({
    status: 2,
    stderr: `gsup: --env production names an env_production of PM2's ecosystem files; supervisor.yaml is none
  for a variable write NAME=value, and set it in the file\n`,
  });
  const variable = await home.run(['start', 'one-app.json', '--env', 'A=1'], { cwd });
  expect(variable).toMatchObject({ status: 2 });
});

test.concurrent('a file x.config.js is one of services when it has apps, else a script', async () => {
  await using home = new Home();
  using project = new Project({ 'x.config.cjs': "console.log('a script');" });
  await home.ok(['start', 'x.config.cjs', '--restart', 'never', '--name', 'x'], { cwd: project.path });
  await home.said('x:0', /a script/);
  const apps = await home.run(['start', 'by-pm2-key.config.cjs', 'line'], { cwd: project.path });
  expect(apps.stderr).toContain('line:0');
});

test.concurrent('run takes an ecosystem file', async () => {
  using project = new Project();
  await using run = new Gsup(['run', '-c', 'one-app.json'], { cwd: project.path });
  await run.said(/server:0 +\| listening/);
  await run.said(/server:1 +\| listening/);
  run.kill('SIGTERM');
  expect(await run.status()).toBe(0);
  expect((await run.record('signal-sent', 'server')).signal).toBe('SIGINT');
});

test.concurrent('run takes a Procfile: ports, .env, and when one process ends they all do', async () => {
  const port = await freePort();
  using project = new Project({
    '.env': `PORT=${port}\nNODE_ENV=from-dotenv\n`,
    'Procfile.dev': 'web: node server.cjs\nother: echo port $PORT ${NODE_ENV:-none}; read -r line < ./end\n',
  });
  // Whoever writes into it ends the second process.
  execFileSync('mkfifo', [join(project.path, 'end')]);
  await using run = new Gsup(['run', '-c', 'Procfile.dev'], { cwd: project.path });
  await run.said(new RegExp(`web:0 +\\| listening ${port}`));
  await run.said(new RegExp(`other:0 +\\| port ${port + 100} from-dotenv`));
  expect(await body(port)).toContain('from-dotenv');
  project.write('end', 'now\n');
  expect(await run.status()).toBe(1);
  expect((await run.record('shutdown-started')).reason).toBe('critical service other failed');
  expect((await run.record('stopped', 'web')).verdict).toBe('clean');
});

test.concurrent('a file of services is no script', async () => {
  for (const file of ['Procfile', 'ecosystem.config.cjs']) {
    expect(await gsup(ECOSYSTEM, 'run', file)).toMatchObject({
      status: 2,
      stderr: `gsup: ${file} is no script\n  to run the services of a file: gsup run -c ${file}\n`,
    });
  }
});

test.concurrent('modules of our own are loaded by the built gsup, top-level await included', async () => {
  using folder = new Folder({
    'supervisor.config.mjs': `await 0;\nexport default { services: { a: { command: 'true' } } };`,
  });
  expect(await gsup(folder.path, 'validate')).toMatchObject({ status: 0, stderr: '' });
});
