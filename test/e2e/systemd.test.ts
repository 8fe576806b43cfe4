import { expect, test } from 'vitest';
import { fixture, freePort } from '../kit/gsup.ts';
import { inSystemd, withoutSystemd } from '../kit/systemd.ts';

const missing = withoutSystemd();
if (missing !== null) console.warn(`skipped: ${missing}`);
const withSystemd = test.skipIf(missing !== null);
const APP = fixture('systemd/app.mjs');

withSystemd.concurrent('Type=notify: active when the app is ready, and not before', async () => {
  const { output, status } = await inSystemd(
    `
mkfifo "$FOLDER/go"
unit app.service <<UNIT
[Service]
Type=notify
Environment=PORT=$PORT GO=$FOLDER/go
ExecStart=$NODE $ROOT/bin/gsup.js run --ready message $APP
UNIT
systemctl --user start --no-block app
until_is app StatusText '0 of 1 ready; waiting for app:0'
show app ActiveState
echo go >"$FOLDER/go"
systemctl --user start app
show app ActiveState
until_is app StatusText '1 of 1 ready'
systemctl --user stop app
show app Result
show app ActiveState
`,
    { APP, PORT: String(await freePort()) },
  );
  expect(output).toBe('activating\nactive\nsuccess\ninactive\n');
  expect(status).toBe(0);
});

withSystemd.concurrent('the watchdog is fed at half its interval, and a gsup that hangs is noticed', async () => {
  const { output, status } = await inSystemd(
    `
unit app.service <<UNIT
[Service]
Type=notify
Environment=PORT=$PORT
ExecStart=$NODE $ROOT/bin/gsup.js run --ready message $APP
WatchdogSec=2
Restart=on-watchdog
RestartSec=0
UNIT
systemctl --user start app
pid=$(show app MainPID)
sleep 5
[ "$pid" = "$(show app MainPID)" ] && echo "the same, $(show app NRestarts) restarts"
kill -STOP "$pid"
until_is app NRestarts 1
until_is app ActiveState active
systemctl --user stop app
`,
    { APP, PORT: String(await freePort()) },
  );
  expect(output).toBe('the same, 0 restarts\n');
  expect(status).toBe(0);
});

withSystemd.concurrent(
  'a critical service that does not live any more is not well: the watchdog is not fed',
  async () => {
    const { output, status } = await inSystemd(
      `
cat >"$FOLDER/s.yaml" <<YAML
services:
  app:
    command: [sh, -c, 'trap "" TERM; while :; do sleep 0.1; done']
    critical: true
    live: { exec: ["test", "-e", "$FOLDER/alive"], interval: 200ms, failureThreshold: 1 }
    stop: { grace: 20s }
YAML
touch "$FOLDER/alive"
unit app.service <<UNIT
[Service]
Type=notify
ExecStart=$NODE $ROOT/bin/gsup.js run -c $FOLDER/s.yaml
WatchdogSec=1
UNIT
systemctl --user start app
rm "$FOLDER/alive"
until_is app Result watchdog
echo noticed
`,
    );
    expect(output).toBe('noticed\n');
    expect(status).toBe(0);
  },
);

withSystemd.concurrent('a stop within its budget gets the time it needs, whatever TimeoutStopSec= says', async () => {
  const { output, status } = await inSystemd(
    `
unit app.service <<UNIT
[Service]
Type=notify
Environment=PORT=$PORT
ExecStart=$NODE $ROOT/bin/gsup.js run --ready message --grace 5s $APP
TimeoutStopSec=300ms
UNIT
systemctl --user start app
systemctl --user stop --no-block app
until_is app StatusText 'stopping: 1 still there: app:0 (signal-sent)'
until_is app ActiveState inactive
show app Result
`,
    { APP, PORT: String(await freePort()) },
  );
  expect(output).toBe('success\n');
  expect(status).toBe(0);
});

withSystemd.concurrent(
  'a socket unit: its socket goes to the service of its name, and the first request starts it',
  async () => {
    const { output, status } = await inSystemd(
      `
cat >"$FOLDER/s.yaml" <<YAML
services:
  other: { command: [sleep, "1000"] }
  app: { script: "$APP", ready: { message: true }, env: { PORT: "$PORT" } }
YAML
unit gsup.service <<UNIT
[Service]
Type=notify
ExecStart=$NODE $ROOT/bin/gsup.js run -c $FOLDER/s.yaml
UNIT
unit gsup.socket <<UNIT
[Socket]
ListenStream=127.0.0.1:$PORT
FileDescriptorName=app
UNIT
systemctl --user start gsup.socket
"$NODE" -e 'fetch("http://127.0.0.1:" + process.argv[1]).then((reply) => reply.text()).then((pid) => process.exit(process.kill(Number(pid), 0) ? 0 : 1))' "$PORT" && echo answered
show gsup ActiveState
systemctl --user stop gsup.socket gsup.service
`,
      { APP, PORT: String(await freePort()) },
    );
    expect(output).toContain('answered\nactive\n');
    expect(status).toBe(0);
  },
);

withSystemd.concurrent('SIGHUP is told as a reload', async () => {
  const { output, status } = await inSystemd(
    `
cat >"$FOLDER/s.yaml" <<YAML
services: { app: { command: [sleep, "1000"] } }
YAML
unit app.service <<UNIT
[Service]
Type=notify
ExecStart=$NODE $ROOT/bin/gsup.js run -c $FOLDER/s.yaml
ExecReload=/bin/kill -HUP \\$MAINPID
UNIT
systemctl --user start app
cat >"$FOLDER/s.yaml" <<YAML
services: { app: { command: [sleep, "1000"] }, more: { command: [sleep, "1000"] } }
YAML
systemctl --user reload app
until_is app StatusText '2 of 2 ready'
show app ActiveState
systemctl --user stop app
show app Result
`,
  );
  expect(output).toBe('active\nsuccess\n');
  expect(status).toBe(0);
});

withSystemd.concurrent(
  'startup installs the daemon, which survives kill -9 and update with its services; unstartup removes it',
  async () => {
    const { output, status } = await inSystemd(
      `
cat >"$FOLDER/s.yaml" <<YAML
services: { app: { script: "$APP", ready: { message: true }, env: { PORT: "$PORT" } } }
YAML
gsup startup --user -c "$FOLDER/s.yaml" 2>/dev/null || exit 1
pid=$(gsup ls --json | "$NODE" -p 'JSON.parse(require("fs").readFileSync(0))[0].pid')
kill -9 "$(show gsup MainPID)"
gsup ls >/dev/null
until_is gsup NRestarts 1
until_is gsup ActiveState active
gsup update 2>/dev/null && echo updated
until_is gsup ActiveState active
[ "$pid" = "$(gsup ls --json | "$NODE" -p 'JSON.parse(require("fs").readFileSync(0))[0].pid')" ] && echo "the same app"
systemd-analyze --user verify "$units/gsup.service" && echo verified
gsup unstartup --user 2>/dev/null && echo removed
kill -0 "$pid" 2>/dev/null || echo stopped
[ -e "$units/gsup.service" ] || echo gone
`,
      { APP, PORT: String(await freePort()) },
    );
    expect(output).toBe('updated\nthe same app\nverified\nremoved\nstopped\ngone\n');
    expect(status).toBe(0);
  },
);

withSystemd.concurrent('without koffi it speaks by systemd-notify', async () => {
  const { output, status } = await inSystemd(
    `
cat >"$FOLDER/no-koffi.cjs" <<'JS'
const { Module } = require('node:module');
const { _resolveFilename: resolve } = Module;
Module._resolveFilename = function (name, ...rest) {
  if (name === 'koffi') throw Object.assign(new Error('Cannot find module koffi'), { code: 'MODULE_NOT_FOUND' });
  return resolve.call(this, name, ...rest);
};
JS
unit app.service <<UNIT
[Service]
Type=notify
NotifyAccess=all
Environment=PORT=$PORT
ExecStart=$NODE -r $FOLDER/no-koffi.cjs $ROOT/bin/gsup.js run --ready message $APP
UNIT
systemctl --user start app
until_is app StatusText '1 of 1 ready'
systemctl --user stop app
show app Result
`,
    { APP, PORT: String(await freePort()) },
  );
  expect(output).toBe('success\n');
  expect(status).toBe(0);
});

withSystemd.concurrent(
  'an exported unit starts as it was written, and so do units per service in their order',
  async () => {
    const { output, status } = await inSystemd(
      `
mkdir "$FOLDER/shop" && cd "$FOLDER/shop"
cat >supervisor.yaml <<YAML
shutdown: { timeout: 20s }
services:
  migrate: { command: [sh, -c, "sleep 0.3; touch migrated"], restart: { policy: never } }
  app:
    script: "$APP"
    ready: { message: true }
    env: { PORT: "$PORT" }
    dependsOn: { migrate: completed }
    sockets: { http: "127.0.0.1:$PORT" }
YAML
gsup export systemd -o "$units" 2>/dev/null || exit 1
systemctl --user daemon-reload
systemctl --user start shop
show shop ActiveState
[ -e migrated ] && echo migrated
[ "$("$NODE" -e 'fetch("http://127.0.0.1:" + process.argv[1]).then((reply) => console.log(reply.status))' "$PORT")" = 200 ] && echo answers
systemctl --user stop shop
show shop Result
rm migrated
gsup export systemd --per-service -o "$units" 2>/dev/null || exit 1
systemctl --user daemon-reload
systemctl --user start shop-app
show shop-app ActiveState
show shop-migrate ActiveState
[ -e migrated ] && echo migrated
systemctl --user stop shop-app
show shop-app Result
`,
      { APP, PORT: String(await freePort()) },
    );
    expect(output).toBe('active\nmigrated\nanswers\nsuccess\nactive\nactive\nmigrated\nsuccess\n');
    expect(status).toBe(0);
  },
);
