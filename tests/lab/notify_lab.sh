#!/bin/bash
# A throw-away desktop: Xvfb, a D-Bus session and dunst (or another notification service), with a HOME
# and a runtime directory of their own.
# Runs COMMAND inside and ends with its status. Needs no systemd and no root.
#   notify_lab.sh COMMAND [ARGUMENT]...
#   SERVICE=program    shows the notifications instead of dunst
#   SHOT=picture.png   afterwards, save what the popups look like (needs xwd and convert)
set -u
if [ "${IN_LAB:-}" != 1 ]; then
  LAB=$(mktemp -d) || exit 1
  trap 'rm -rf "$LAB"' EXIT
  mkdir -m 700 "$LAB/home" "$LAB/run"
  unset DBUS_SESSION_BUS_ADDRESS WAYLAND_DISPLAY
  export LAB HOME=$LAB/home XDG_RUNTIME_DIR=$LAB/run IN_LAB=1
  dbus-run-session -- "$0" "$@"
  exit
fi
unset IN_LAB
until_true() { for _ in $(seq 1000); do "$@" && return; sleep .01; done; echo "the lab did not come up: $*" >&2; exit 99; }
owned() { dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.Notifications 2>&1 | grep -q true; }

: >"$LAB/display"
Xvfb -displayfd 9 -screen 0 900x300x24 -nolisten tcp 9>"$LAB/display" >/dev/null 2>&1 &
screen=$!
until_true test -s "$LAB/display"
DISPLAY=:$(cat "$LAB/display")
export DISPLAY
# dunst lists the buttons of its popups in a menu, which a program shows: this one. It chooses what a file says.
cat >"$LAB/menu" <<'END'
#!/bin/sh
cat >"$LAB/offered.tmp" # whole: who reads from a pipe up to the choice ends whoever writes the rest
grep -m 1 -F -f "$LAB/choice" "$LAB/offered.tmp"
mv "$LAB/offered.tmp" "$LAB/offered"
END
chmod 755 "$LAB/menu"
cat >"$LAB/dunstrc" <<END
[global]
font=Monospace 12
width=460
history_length=1000
dmenu=$LAB/menu
[urgency_critical]
format="URGENT %s\n%b"
END
if [ -n "${SERVICE:-}" ]; then
  "$SERVICE" >/dev/null 2>&1 &
else
  dunst -conf "$LAB/dunstrc" >/dev/null 2>&1 &
fi
server=$!
until_true owned
"$@"
status=$?
if [ -n "${SHOT:-}" ]; then
  sleep .4 # dunst paints when it is idle
  xwd -root -silent | convert xwd:- -trim "$SHOT"
fi
kill "$server" "$screen"
wait
exit "$status"
