import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sentinel.core.facts import DirectoryFacts, Gone, Unknown
from sentinel.observe import files, overmind

INSTANCE = "V1StGXR8_Z5jdHi6B-myT"


@pytest.fixture
def place():
    path = os.path.realpath(tempfile.mkdtemp(prefix="sentinel-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(place):
    """Start a process with the arguments, environment and directory of an Overmind."""
    running = []

    def started(*arguments, directory=place, **environ):
        # exec -a: what counts is what /proc shows, so any program that waits will do
        wait = f'exec -a overmind "{sys.executable}" -c "import time; time.sleep(1000)" "$@"'
        command = ["bash", "-c", wait, "bash", *arguments]
        it = subprocess.Popen(command, cwd=directory, env={"PATH": os.environ["PATH"], **environ})
        running.append(it)
        while "overmind" not in Path(f"/proc/{it.pid}/cmdline").read_text().split("\0")[0]:
            time.sleep(0.005)
        return overmind.describe(it.pid)

    yield started
    for it in running:
        it.kill()
        it.wait()


def test_everything_has_overminds_default(place, start):
    project = Path(place, "My App")
    project.mkdir()
    assert start("start", directory=project) == overmind.Overmind(
        title="My App",
        directory=str(project),
        socket_path=f"{project}/.overmind.sock",
        script_root=os.path.realpath("/tmp"),  # noqa: S108 - where Overmind writes
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["-s", "run/o.sock", "-w", "The App", "-f", "config/Procfile.dev", "-D"],
        ["-s=run/o.sock", "--title=The App", "--procfile", "config/Procfile.dev", "--daemonize"],
        ["-p", "3000", "-socket", "run/o.sock", "-title", "The App", "-daemonize"],
    ],
)
def test_arguments_are_read_in_every_form(place, start, arguments):
    said = start("start", *arguments)
    assert (said.title, said.socket_path) == ("The App", f"{place}/run/o.sock")


def test_the_environment_is_read_and_arguments_win(place, start):
    environ = {
        "OVERMIND_SOCKET": "/run/o.sock",
        "OVERMIND_TITLE": "env",
        "TMPDIR": f"{place}/scratch",
    }
    said = start("start", **environ)
    assert (said.title, said.socket_path) == ("env", "/run/o.sock")
    assert said.script_root == f"{place}/scratch"
    assert start("start", "-w", "argument", **environ).title == "argument"


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (["-f", "apps/web/Procfile"], "web"),
        (["-f", "apps/web/Procfile", "-d", "apps"], "apps"),
        (["-d", "apps/"], "apps"),
    ],
)
def test_the_title_is_that_of_the_directory_it_works_on(start, arguments, title):
    assert start("start", *arguments).title == title


def test_symlinks_on_the_way_to_the_socket_are_resolved(place, start):
    os.mkdir(f"{place}/real")
    os.symlink("real", f"{place}/alias")
    assert start("start", "-s", "alias/o.sock").socket_path == f"{place}/real/o.sock"


def test_a_process_that_is_gone_is_unknown():
    with subprocess.Popen(["true"]) as it:
        it.wait()
    assert isinstance(overmind.describe(it.pid), Unknown)


# -- script directories ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        (["-C", "-L", f"overmind-app-{INSTANCE}", "new", "-n", "web"], f"overmind-app-{INSTANCE}"),
        (["-C", "-L"], ""),
        (["-L", "mine", "-C", "attach"], ""),  # a person's
        (["-C", "attach"], ""),
    ],
)
def test_overminds_client_is_known_by_its_first_arguments(monkeypatch, arguments, label):
    # No program but tmux takes these, and that would start a server. Real ones: real/test_overmind.
    monkeypatch.setattr(overmind.processes, "program", lambda _: ("/usr/bin/tmux", ("tmux", *arguments)))
    assert overmind.label_of_client(1) == label


def test_who_is_gone_is_nobodys_client():
    assert overmind.label_of_client(2**22 - 1) == ""


def test_script_directories_are_found_by_title(place):
    for name in (
        f"overmind-my-app-{INSTANCE}",
        "overmind-my-app-" + "-" * 21,  # a random part of dashes only
        f"overmind-my-app-2-{INSTANCE}",
        f"overmind-other-{INSTANCE}",
        "overmind-my-app-notes",
        f"x-overmind-my-app-{INSTANCE}",
        f"overmind-my-app-{INSTANCE}\n",
    ):
        os.mkdir(os.path.join(place, name), 0o700)
    found = overmind.script_directories("My  App", place)
    assert sorted(os.path.basename(facts.path) for facts in found) == [
        "overmind-my-app-" + "-" * 21,
        f"overmind-my-app-{INSTANCE}",
    ]
    status = os.lstat(found[0].path)
    assert (found[0].inode, found[0].mode, found[0].uid) == (status.st_ino, status.st_mode, os.getuid())


def test_where_there_is_no_root_there_are_no_directories(place):
    assert overmind.script_directories("a", f"{place}/none") == []


def test_a_root_that_cannot_be_read_is_unknown(place):
    Path(place, "file").touch()
    assert isinstance(overmind.script_directories("a", f"{place}/file"), Unknown)


def test_a_look_at_a_directory_follows_no_symlink(place):
    os.mkdir(f"{place}/real", 0o750)
    os.symlink("real", f"{place}/link")
    real, link = files.look_at_directory(f"{place}/real"), files.look_at_directory(f"{place}/link")
    assert isinstance(real, DirectoryFacts)
    assert isinstance(link, DirectoryFacts)
    assert (real.mode & 0o777, real.inode) == (0o750, os.stat(f"{place}/real").st_ino)
    assert link.inode != real.inode
    assert files.look_at_directory(f"{place}/none") == Gone()
    assert files.look_at_directory(f"{place}/real/none/below") == Gone()
    assert isinstance(files.look_at_directory("a\0b"), Unknown)
