from __future__ import annotations

import errno
import os
import subprocess
import sys
import termios
from pathlib import Path

import click
import pytest

from sentinel import __version__, cli
from sentinel.errors import AlreadyRunning, ConfigError, SentinelError

ROOT = Path(__file__).parents[2]
HANG = 30


def sentinel(*argv, **more):
    return subprocess.run(
        [sys.executable, "-m", "sentinel", *argv],
        capture_output="stdout" not in more,
        stderr=subprocess.PIPE if "stdout" in more else None,
        text=True,
        cwd=ROOT,
        timeout=HANG,
        check=False,
        **more,
    )


def printing(text, **more):
    """A command that leaves what it prints in Python's buffer."""
    script = (
        "import sys, click; from sentinel import cli;"
        f"it = click.Command('it', callback=lambda: print({text!r}));"
        "sys.argv = ['sentinel', 'it']; sys.exit(cli.main(click.Group('sentinel', commands={'it': it})))"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    more = {"text": True, **more, "env": {**buffered, **more.get("env", {})}}
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=HANG, check=False, **more)


@pytest.fixture
def ends_with(monkeypatch):
    """The command line with one command that does what it is given, in this process."""

    def run(does, *argv):
        @click.command("it", context_settings={"ignore_unknown_options": True})
        @click.argument("rest", nargs=-1)
        def command(rest):
            return does()

        group = click.Group("sentinel", commands={"it": command})
        monkeypatch.setattr(sys, "argv", ["sentinel", "it", *argv])
        return cli.main(group)

    return run


def raiser(error):
    def does():
        raise error

    return does


@pytest.mark.parametrize("argv", [(), ("-h",), ("--help",)])
def test_help_names_every_command_with_a_line(argv):
    done = sentinel(*argv)
    assert done.returncode == 0
    for name, verb in cli.COMMANDS.items():
        assert f"  {name.ljust(max(map(len, cli.COMMANDS)))}  {verb.help}\n" in done.stdout


@pytest.mark.parametrize("argv", [("--help",), ("explain", "--help"), ("status",), ("explain", "e7")])
def test_on_a_narrow_terminal_no_line_is_broken_by_the_terminal(argv, tmp_path):
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (200, 40))
    environ = {**os.environ, "SENTINEL_STATE_DIR": str(tmp_path), "SENTINEL_RUNTIME_DIR": str(tmp_path)}
    words = [sys.executable, "-m", "sentinel", *argv]
    subprocess.run(words, stdout=theirs, stderr=theirs, cwd=ROOT, timeout=HANG, check=False, env=environ)
    os.close(theirs)
    lines = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert len(lines) > 1
    assert [line for line in lines if len(line) > 40] == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_of_the_table_is_there_and_says_the_same_of_itself(name):
    command = cli.sentinel.get_command(click.Context(cli.sentinel), name)
    assert command.name == name
    assert command.help
    done = sentinel(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: sentinel {name}" in done.stdout


def test_the_version_is_the_packages():
    assert sentinel("--version").stdout == f"sentinel {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("evnts",), 'sentinel: no command "evnts"; did you mean "events"?\n'),
        (("zzz",), f'sentinel: no command "zzz"; there are: {", ".join(cli.COMMANDS)}\n'),
        (("a\nb\x1b[2J",), None),
        (("--nope",), None),
        (("events", "--nope"), None),
        (("explain",), None),
        (
            ("hooks", "install"),
            "sentinel: Missing argument '{claude|codex|tmux}'. Choose from: claude, codex, tmux\n",
        ),
    ],
)
def test_a_wrong_call_gets_one_line_and_status_2(argv, said):
    done = sentinel(*argv)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("sentinel: ")
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    assert said in {None, done.stderr}


@pytest.mark.parametrize("group", ["hooks", "lock", "service", "session"])
def test_a_group_without_a_command_shows_its_help(group):
    done = sentinel(group)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == sentinel(group, "--help").stdout
    assert "...\n" not in done.stderr.partition("\n")[2]  # no line of it is cut


@pytest.mark.parametrize(
    ("error", "status"),
    [(SentinelError("no"), 1), (ConfigError("f:1: no"), 78), (AlreadyRunning("no"), 0)],
)
def test_an_error_on_purpose_is_a_sentence_with_its_status(ends_with, capsys, error, status):
    assert ends_with(raiser(error)) == status
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"sentinel: {error}\n")


def test_a_hostile_sentence_is_shown_harmless(ends_with, capsys):
    ends_with(raiser(SentinelError("\x1b[2J\nsentinel: all is well")))
    assert capsys.readouterr().err == "sentinel: \\x1b[2J\\x0asentinel: all is well\n"


def test_a_bug_is_not_hidden(ends_with):
    with pytest.raises(ZeroDivisionError):
        ends_with(lambda: 1 / 0)
    with pytest.raises(FileNotFoundError):
        ends_with(lambda: os.stat("/nonexistent"))
    with pytest.raises(OSError, match="journal"):  # that was not the output
        ends_with(raiser(OSError(errno.ENOSPC, "No space left on device", "journal")))


def test_an_interrupt_ends_as_shells_say_it(ends_with, capsys):
    assert ends_with(raiser(KeyboardInterrupt())) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("code", "status"), [(3, 3), (0, 0), (None, 0)])
def test_the_status_of_a_command_is_passed_on(ends_with, code, status):
    assert ends_with(raiser(SystemExit(code))) == status


def test_what_a_command_returns_by_the_way_is_no_status(ends_with):
    assert ends_with(lambda: "something") == 0


@pytest.mark.parametrize("argv", [("--help",), ("events", "--help")])
def test_a_reader_that_went_away_is_no_reason_to_complain(argv):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        done = sentinel(*argv, stdout=gone)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_disk_is_said():
    with open("/dev/full", "w") as full:
        done = sentinel("--help", stdout=full)
    assert (done.returncode, done.stderr) == (1, "sentinel: cannot write: No space left on device\n")


def test_a_reader_that_goes_away_before_the_end_is_not_complained_of_either():
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        done = printing("x", stdout=gone, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, "")


def test_output_that_is_buffered_is_missed_too():
    with open("/dev/full", "w") as full:
        done = printing("x", stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, "sentinel: cannot write: No space left on device\n")


def test_a_closed_output_is_no_error():
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m sentinel --help >&-', sys.executable],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        timeout=HANG,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_of_another_alphabet_gets_what_it_can_show():
    done = printing("é…", capture_output=True, env={"PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert (done.returncode, done.stdout) == (0, "é\\u2026\n")
