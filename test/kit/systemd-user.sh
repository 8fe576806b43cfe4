#!/bin/bash
# systemd-user.sh COMMAND [ARG...]: runs COMMAND beside a `systemd --user` of its own, where no systemd was booted.
# Its cgroup, /run and unit folder ($XDG_CONFIG_HOME/systemd/user) are private; nothing of it is left. Needs root.
set -u
if [ "${SYSTEMD_USER_STAGE:-}" != inside ]; then
  mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  group=$mount/gsup-test-systemd.$$
  folder=$(mktemp -d)
  mkdir "$group" || exit 3
  # The subshell joins the cgroup, so that everything it starts is in it.
  (
    echo 0 >"$group/cgroup.procs" || exit 3
    SYSTEMD_USER_STAGE=inside SYSTEMD_USER_FOLDER=$folder exec unshare --mount --cgroup --propagation private bash "$0" "$@"
  )
  status=$?
  echo 1 >"$group/cgroup.kill"
  # The last process may be on its way out.
  for _ in $(seq 50); do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ -d "$group" ] || break
    sleep 0.1
  done
  rm -rf "$folder"
  exit "$status"
fi

folder=$SYSTEMD_USER_FOLDER
unset SYSTEMD_USER_STAGE SYSTEMD_USER_FOLDER DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET
mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none /run || exit 3
XDG_RUNTIME_DIR=/run/user/$(id -u) XDG_CONFIG_HOME=$folder
export XDG_RUNTIME_DIR XDG_CONFIG_HOME
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR" "$folder/systemd/user"
chmod 700 "$XDG_RUNTIME_DIR"
env -i PATH="$PATH" HOME="$HOME" XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" XDG_CONFIG_HOME="$XDG_CONFIG_HOME" \
  /lib/systemd/systemd --user --log-target=console >"$folder/systemd.log" 2>&1 &
manager=$!
for _ in $(seq 200); do
  [ "$(systemctl --user is-system-running 2>/dev/null)" = running ] && break
  kill -0 "$manager" 2>/dev/null || { cat "$folder/systemd.log" >&2; exit 3; }
  sleep 0.05
done
"$@"
status=$?
kill "$manager"
wait "$manager"
exit "$status"
