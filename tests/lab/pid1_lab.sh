#!/bin/bash
# Boot a REAL systemd as PID 1 (journald, dbus, logind, user@UID with linger) in private
# namespaces over an overlay of the running root file system; nothing on the machine changes.
# A user of the system, as the tests' are, has no journal of his own: he may read all of it.
# Needs root. usage: pid1_lab.sh USER COMMAND...   (COMMAND runs as USER in a log-in's
# environment, in a real user@UID.service; its stdout/stderr come back, its exit status too)
set -euo pipefail
user=$1; shift
if [ "${_LAB1:-}" != 1 ]; then
  cg=/sys/fs/cgroup/unified; [ -e /sys/fs/cgroup/cgroup.controllers ] && cg=/sys/fs/cgroup
  d=$cg/lab-$$; w=$(mktemp -d /tmp/sdlab.XXXXXX); chmod 755 "$w"; mkdir -p "$d" "$w.root"
  printf '%q ' "$@" > "$w/cmd"; echo 125 > "$w/rc"; : > "$w/out"
  tail -f --pid=$$ -n +1 "$w/out" & tp=$!
  trap 'sleep .2; kill $tp 2>/dev/null||true; find "$d" -depth -type d -exec rmdir {} + 2>/dev/null || true; rm -rf "$w" "$w.root"' EXIT
  ( echo $BASHPID > "$d/cgroup.procs"
    _LAB1=1 W=$w exec unshare --cgroup --mount --pid --uts --ipc --fork --kill-child "$0" "$user" "$@" ) </dev/null || true
  exit "$(cat "$w/rc")"
fi
uid=$(id -u "$user")
mount --make-rprivate /
t=$W.root; mount -t tmpfs tmpfs $t; mkdir $t/{up,wk,root}
mount -t overlay overlay -o lowerdir=/,upperdir=$t/up,workdir=$t/wk $t/root; r=$t/root
mount -t proc proc $r/proc; mount -t sysfs -o ro sysfs $r/sys; mount -t cgroup2 cgroup2 $r/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $r/run; mount -t tmpfs tmpfs $r/tmp; mkdir -p $r/lab; mount --bind "$W" $r/lab
mount -t tmpfs -o mode=755 tmpfs $r/dev; mkdir $r/dev/{pts,shm}; chmod 1777 $r/tmp $r/dev/shm
for n in null zero full random urandom tty; do touch $r/dev/$n; mount --bind /dev/$n $r/dev/$n; done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts $r/dev/pts; ln -s pts/ptmx $r/dev/ptmx; ln -s /proc/self/fd $r/dev/fd
mkdir -p $r/opt/sentinel; mount --bind "$LAB_PROGRAM" $r/opt/sentinel
home=$(getent passwd "$user" | cut -d: -f6); mkdir -p $r$home; chown "$user:" $r$home
s=$r/etc/systemd/system; rm -rf $s; mkdir -p $s $r/var/lib/systemd/linger $r/var/log/journal; touch $r/var/lib/systemd/linger/$user
cat > $s/lab.target <<X
[Unit]
Requires=basic.target
Wants=dbus.socket systemd-logind.service systemd-user-sessions.service user@$uid.service lab.service
After=basic.target
AllowIsolate=yes
X
cat > $s/lab.service <<X
[Unit]
After=systemd-logind.service user@$uid.service dbus.service
Wants=user@$uid.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
User=$user
WorkingDirectory=~
PAMName=login
SupplementaryGroups=systemd-journal
Environment=XDG_RUNTIME_DIR=/run/user/$uid DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus PATH=/opt/sentinel/bin:/usr/local/bin:/usr/bin:/bin
StandardOutput=append:/lab/out
StandardError=append:/lab/out
ExecStart=/bin/bash -c 'eval "\$(cat /lab/cmd)"'
ExecStopPost=+/bin/sh -c 'echo \$EXIT_STATUS > /lab/rc'
X
for m in systemd-tmpfiles-setup-dev.service systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service systemd-networkd.service systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service systemd-binfmt.service systemd-random-seed.service systemd-update-utmp.service systemd-hwdb-update.service ldconfig.service systemd-firstboot.service systemd-sysusers.service kmod-static-nodes.service apparmor.service keyboard-setup.service console-setup.service; do ln -sf /dev/null $s/$m; done
: > $r/etc/fstab; [ -s $r/etc/machine-id ] || systemd-machine-id-setup --root=$r >/dev/null
exec chroot $r /usr/bin/env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=lab.target --show-status=0 --log-target=journal
