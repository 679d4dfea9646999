"""A real systemd for one user, on a machine whose first process is another one.

systemd's user manager, its journal and a message bus run in a mount and a control group
namespace of their own; processes are the machine's, so the proc connector serves. What
the manager needs of the system is a writable control group, and /run/systemd/system to be
there. Whatever it starts belongs to the lab's user and ends with the stage.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import sentinel
from sentinel.observe import cgroups
from tests.lab.stage import Stage, lab_user, until

MANAGER = "/lib/systemd/systemd"
JOURNAL = "/lib/systemd/systemd-journald"
PREFIX = "/opt/sentinel"
"""Where the program is installed, in the lab only: under /tmp it would refuse to be a service."""

WORLD = """
set -eu
mount --make-rprivate /
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/log
mount -t tmpfs -o mode=755 tmpfs /var/lib/systemd
mkdir /var/lib/systemd/linger
mkdir -p /run/systemd/system /run/systemd/journal /run/lock /run/log /run/dbus /run/user/$1
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir {prefix}
mount --bind "$2" {prefix}
touch /run/systemd/journal/flushed   # it writes at once to its place on disk, a file for each user
[ -s /etc/machine-id ] || {{ printf %032d 1 > /run/machine-id; mount --bind /run/machine-id /etc/machine-id; }}
mkdir -p "/var/log/journal/$(cat /etc/machine-id)"
chgrp systemd-journal /var/log/journal/*
chmod 2755 /var/log/journal/*
chmod 700 /run/user/$1
chown $1:$3 /run/user/$1
for c in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$c" > /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
done
group=/sys/fs/cgroup/user.slice/user-$1.slice/user@$1.service   # where the journal looks for a user's units
mkdir -p $group
chown -R $1:$3 $group
export SYSTEMD_LOG_TARGET=null
exec {journal}
"""


class UserManager:
    """The manager of one stage's user.

    Args:
        stage: Whose user it is. Its home is where the units lie.
        program: A Python environment in which Sentinel is.
    """

    def __init__(self, stage: Stage, program: Path) -> None:
        for needed in (MANAGER, JOURNAL, "/usr/bin/dbus-daemon"):
            if not os.path.exists(needed):
                pytest.skip(f"missing: {needed} (Debian: systemd, dbus-user-session)")
        self.stage = stage
        self.uid, gid = lab_user()
        self.user = pwd.getpwuid(self.uid).pw_name
        self._group = Path(_groups(), f"sentinel-lab-{os.getpid()}-{self.uid}")
        self._group.mkdir()
        script = WORLD.format(journal=JOURNAL, prefix=PREFIX)
        inside = [
            "unshare",
            "--cgroup",
            "--mount",
            "bash",
            "-c",
            script,
            "world",
            str(self.uid),
            str(program),
            str(gid),
        ]
        enter = f'echo $$ > {self._group}/cgroup.procs; exec "$@"'
        self._journal = subprocess.Popen(
            ["bash", "-c", enter, "enter", *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._manager = None
        self._pairs = [f"{name}={value}" for name, value in self._environ().items()]
        try:
            until(self._has_journal, "the journal")
            self.boot()
        except BaseException:  # a world that nobody has would stay
            self.close()
            raise

    def _has_journal(self) -> bool:
        if self._journal.poll() is not None:
            pytest.skip(f"missing: mount namespaces ({self._journal.stderr.read().decode()[-200:]})")
        return os.path.exists(f"/proc/{self._journal.pid}/root/run/systemd/journal/stdout")

    def _environ(self) -> dict[str, str]:
        """What a log-in would give: nothing that the stage gives to its own processes besides."""
        runtime = f"/run/user/{self.uid}"
        return {
            "HOME": str(self.stage.home),
            "USER": self.user,
            "PATH": f"{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": runtime,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
        }

    def words(self, *words: object, groups: str = "--clear-groups", **environ: str) -> list[str]:
        """The command line that runs words as the user, in the manager's world."""
        uid, gid = lab_user()
        pairs = [*self._pairs, *(f"{name}={value}" for name, value in environ.items())]
        drop = ["setpriv", f"--reuid={uid}", f"--regid={gid}", groups, "--reset-env"]
        return [*self._enter(), *drop, "env", *pairs, *map(str, words)]

    def as_root(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run something in the manager's world that the user may not."""
        return subprocess.run(
            [*self._enter(), *map(str, words)], capture_output=True, text=True, timeout=60, check=True
        )

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._journal.pid}", "--mount", "--cgroup", f"--wd={self.stage.home}"]

    def boot(self) -> None:
        """The log-in: the manager starts, and what is enabled with it."""
        group = f"{self._group}/user.slice/user-{self.uid}.slice/user@{self.uid}.service"
        enter = f'echo $$ > {group}/cgroup.procs; exec "$@"'
        self._manager = subprocess.Popen(
            ["bash", "-c", enter, "enter", *self.words(MANAGER, "--user", "--log-target=journal")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: self.control("is-system-running").stdout.strip() in {"running", "degraded"}, "the manager")

    def log_out(self) -> None:
        """The last log-out without linger: the manager ends what it has started, and itself."""
        self.control("exit")
        self._manager.wait(timeout=30)

    def run(self, *words: object, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run something to its end, as the user."""
        return subprocess.run(
            self.words(*words, **environ),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        """Start something as the user, beside the manager; the stage ends it."""
        process = subprocess.Popen(
            self.words(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.stage.owns(process)
        return process

    def sentinel(self, *words: object, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of the installed program."""
        return self.run(f"{PREFIX}/bin/sentinel", *words, **environ)

    def pip_install(self, wheel: Path) -> None:
        """Put a wheel into the program's environment, as ``pip install`` and ``pipx upgrade`` do."""
        self.as_root(f"{PREFIX}/bin/python3", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``systemctl --user``."""
        return self.run("systemctl", "--user", *words)

    def show(self, name: str, unit: str = "sentinel.service") -> str:
        """One property of a unit."""
        return self.control("show", unit, "--value", "--property", name).stdout.strip()

    def close(self) -> None:
        """End the manager and its world; the stage ends what is left of the user."""
        for process in (self._manager, self._journal):  # the manager first: it would start anew what is ended
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.stage.close()
        self._journal.stderr.close()
        until(self._removed, "the removal of the lab's control groups")

    def _removed(self) -> bool:
        for folder, _, _ in os.walk(self._group, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True


def build_wheel(where: Path, version: str) -> Path:
    """What a release of this checkout with that version would be."""
    source = where / version
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(sentinel.__file__).parent, source / "sentinel", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(Path(sentinel.__file__).parents[1] / name, source)
    module = source / "sentinel" / "__init__.py"
    module.write_text(module.read_text().replace(f'"{sentinel.__version__}"', f'"{version}"'))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(where)]
    subprocess.run(build, cwd=source, capture_output=True, timeout=60, check=True)
    (wheel,) = where.glob(f"session_sentinel-{version}-*.whl")
    wheel.chmod(0o644)
    return wheel


def make_environment(where: Path) -> Path:
    """A Python environment with all that Sentinel needs, and without it; found at ``PREFIX`` in the lab."""
    program = where / "program"
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    subprocess.run([python, "-m", "venv", "--without-pip", "--copies", str(program)], check=True)
    site = next((program / "lib").glob("python*")) / "site-packages"
    ignored = shutil.ignore_patterns("__editable__*", "session_sentinel-*", "__pycache__")
    shutil.copytree(sysconfig.get_paths()["purelib"], site, dirs_exist_ok=True, ignore=ignored)
    subprocess.run(["chmod", "-R", "a+rX", str(where)], check=True)
    return program


def install_program(where: Path) -> Path:
    """Such an environment with this very Sentinel in it."""
    program = make_environment(where)
    site = next((program / "lib").glob("python*")) / "site-packages"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(sentinel.__file__).parent, site / "sentinel", dirs_exist_ok=True, ignore=ignored)
    script = program / "bin" / "sentinel"
    script.write_text(f"#!{PREFIX}/bin/python3\nimport sys\nfrom sentinel.__main__ import main\nsys.exit(main())\n")
    script.chmod(0o755)
    subprocess.run(["chmod", "-R", "a+rX", str(where)], check=True)
    return program


def _groups() -> str:
    mount = cgroups.directory_of("/")
    if mount is None:
        pytest.skip("missing: cgroup2")
    return str(mount)
