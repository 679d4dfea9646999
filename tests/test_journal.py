import fcntl
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest

from sentinel.core.actions import Unstick
from sentinel.core.events import AgentStopped, HandlerFailed, SessionClosed
from sentinel.core.facts import ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.errors import JournalUnwritable
from sentinel.journal import Journal

EVENT = AgentStopped("it was told to")
ACTION = Unstick(ProcessId(9, 9), ("it holds a zombie",))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def journals(path):
    opened = []

    def make(**options):
        opened.append(Journal(path, "deadbeef-cafe", **options))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


def records(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def seqs(path):
    return [record["seq"] for record in records(path)]


def everything(path):
    """The records of all files, oldest first."""
    files = sorted(path.parent.glob(path.name + ".*"), key=lambda file: -int(file.suffix[1:]))
    return [record for file in (*files, path) for record in records(file)]


def test_each_record_is_a_line_with_the_next_number(path, journals):
    journal = journals()
    assert journal.record(EVENT) == 1
    assert journal.intend(ACTION, cause=1) == 2
    assert journal.record(SessionClosed(Session(Kind.RUN, "x", ProcessId(1, 1))), cause=2) == 3
    assert [(r["id"], r["seq"], r["cause"]) for r in records(path)] == [
        ("deadbeef-1", 1, 0),
        ("deadbeef-2", 2, 1),
        ("deadbeef-3", 3, 2),
    ]
    assert journal.trouble == ""


def test_the_file_is_the_owners_alone(path, journals):
    path.touch(mode=0o644)
    os.chmod(path, 0o644)
    journals().record(EVENT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_boot_id_is_not_trusted(path):
    journal = Journal(path, '"\n}')
    journal.record(EVENT)
    journal.close()
    assert records(path)[0]["id"] == "-1"


def test_numbers_go_on_after_a_restart(path, journals):
    journals().record(EVENT)
    journals().record(EVENT)
    assert seqs(path) == [1, 2]


def test_two_writers_share_the_numbers(path, journals):
    one, other = journals(), journals()
    assert [writer.record(EVENT) for writer in (one, other, other, one)] == [1, 2, 3, 4]
    assert seqs(path) == [1, 2, 3, 4]


# -- damage -------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [b'{"seq":9,"ty', b"\0" * 5000, b"\xff\xfe", b'{"seq":7,"type":"x"}'])
def test_a_torn_end_is_closed_before_anything_is_added(path, journals, tail):
    journals().record(EVENT)
    with path.open("ab") as file:
        file.write(tail)
    seq = journals().record(EVENT)
    *_, torn, last = path.read_bytes().splitlines()
    assert torn == tail
    assert json.loads(last)["seq"] == seq
    assert seq == (8 if tail.endswith(b"}") else 2)


def test_an_end_torn_by_another_writer_is_closed_too(path, journals):
    journal = journals()
    journal.record(EVENT)
    with path.open("ab") as file:
        file.write(b"torn")
    assert journal.record(EVENT) == 2
    assert path.read_bytes().splitlines()[1] == b"torn"


def test_the_last_number_is_found_behind_much_damage(path, journals):
    journals().record(EVENT)
    with path.open("ab") as file:
        file.write(b'{"seq":"9"}\n{"seq":-4}\n{"seq":1e400}\n[]\n' + b"x" * 100_000 + b"\n" * 70_000)
    assert journals().record(EVENT) == 2


def test_a_number_no_other_program_could_hold_is_damage(path, journals):
    path.write_bytes(b'{"seq":9007199254740993,"type":"x"}\n')
    assert journals().record(EVENT) == 1


@pytest.mark.parametrize("harm", ["empty", "remove"])
def test_a_file_that_somebody_took_away_does_not_stop_the_numbers(path, journals, harm):
    journal = journals()
    journal.record(EVENT)
    if harm == "empty":
        os.truncate(path, 0)
    else:
        path.unlink()
    assert journal.record(EVENT) == 2
    assert seqs(path) == [2]


# -- rotation -----------------------------------------------------------------------


def test_a_full_file_is_rotated_and_the_oldest_goes(path, journals):
    journal = journals(max_bytes=4000, keep=2)
    for _ in range(100):
        journal.record(EVENT)
    assert sorted(os.listdir(path.parent)) == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    numbers = [record["seq"] for record in everything(path)]
    assert numbers == list(range(numbers[0], 101))
    assert all(file.stat().st_size <= 4000 for file in path.parent.iterdir())


def test_numbers_go_on_when_only_rotated_files_are_left(path, journals):
    journals().record(EVENT)
    path.rename(f"{path}.1")
    assert journals().record(EVENT) == 2


def test_a_writer_that_finds_the_new_file_first_knows_what_the_others_wrote(path, journals):
    one, other = journals(), journals()
    other.record(EVENT)
    assert [one.record(EVENT) for _ in range(2)] == [2, 3]
    path.rename(f"{path}.1")  # as far as a rotation has come when its writer loses the turn
    assert other.record(EVENT) == 4


def test_a_writer_follows_the_rotation_of_another(path, journals):
    one, other = journals(max_bytes=4000), journals(max_bytes=4000)
    other.record(EVENT)
    while not os.path.exists(f"{path}.1"):
        one.record(EVENT)
    seq = other.record(EVENT)
    assert seqs(path)[-1] == seq
    numbers = [record["seq"] for record in everything(path)]
    assert numbers == list(range(1, seq + 1))


def test_a_rotation_that_fails_loses_nothing(path, journals):
    os.mkdir(f"{path}.1")  # a file cannot be renamed to a directory
    journal = journals(max_bytes=4000, keep=1)
    for _ in range(50):
        journal.record(EVENT)
    assert seqs(path) == list(range(1, 51))


# -- what cannot be written ---------------------------------------------------------


@pytest.fixture
def limited():
    """Sets the largest size of a file: the kernel then cuts a write short, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_cut_short_leaves_no_part_of_a_line(path, journals, limited):
    journal = journals()
    journal.record(EVENT)
    whole = path.read_bytes()
    limited(len(whole) + 50)
    assert journal.record(EVENT) == 2
    assert "events.jsonl cannot be written" in journal.trouble
    assert "1 record waiting" in journal.trouble
    with pytest.raises(JournalUnwritable, match="cannot be written"):
        journal.intend(ACTION)
    assert path.read_bytes() == whole
    limited(resource.RLIM_INFINITY)
    assert journal.intend(ACTION) == 3
    assert journal.trouble == ""
    assert [(r["seq"], r["type"]) for r in records(path)] == [
        (1, "dev.sentinel.agent.stopped"),
        (2, "dev.sentinel.agent.stopped"),
        (3, "dev.sentinel.action.intended"),
    ]


def test_an_intent_that_failed_is_not_written_later(path, journals, limited):
    journal = journals()
    journal.record(EVENT)
    limited(path.stat().st_size)
    with pytest.raises(JournalUnwritable):
        journal.intend(ACTION)
    limited(resource.RLIM_INFINITY)
    journal.record(EVENT)
    assert [record["type"] for record in records(path)] == ["dev.sentinel.agent.stopped"] * 2


def test_memory_holds_the_latest_records_and_counts_the_others(path, journals, limited):
    journal = journals()
    journal.record(EVENT)
    limited(path.stat().st_size)
    for _ in range(200):
        journal.record(HandlerFailed("h" * 1000, "e" * 1000, "x" * 8000))
    assert "lost" in journal.trouble
    limited(resource.RLIM_INFINITY)
    assert journal.record(EVENT) == 202
    numbers = seqs(path)
    assert numbers[0] == 1
    assert numbers[1] > 2  # the gap tells of the loss
    assert numbers[1:] == list(range(numbers[1], 203))
    assert journal.trouble == ""


@pytest.mark.parametrize("place", ["nowhere", "symlink", "directory", "pipe"])
def test_a_place_that_cannot_be_written_is_told_and_kept_from(tmp_path, place):
    path = tmp_path / "state" / "events.jsonl"
    if place != "nowhere":
        path.parent.mkdir()
    match place:
        case "symlink":
            (tmp_path / "elsewhere").touch()
            path.symlink_to(tmp_path / "elsewhere")
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    journal = Journal(path, "deadbeef")
    assert str(path) in journal.trouble
    assert journal.record(EVENT) == 1
    with pytest.raises(JournalUnwritable):
        journal.intend(ACTION)
    journal.sync()  # nothing was written, so nothing is lost
    if place == "symlink":
        assert (tmp_path / "elsewhere").read_bytes() == b""
    if place == "nowhere":
        path.parent.mkdir()
        assert journal.intend(ACTION) == 2
        assert seqs(path) == [1, 2]
    journal.close()


def test_a_writer_that_keeps_its_turn_does_not_stop_the_others(path, journals):
    journal = journals()
    journal.record(EVENT)
    with path.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        assert journal.record(EVENT) == 2
        with pytest.raises(JournalUnwritable, match="keeps it locked"):
            journal.intend(ACTION)
    assert journal.intend(ACTION) == 3
    assert seqs(path) == [1, 2, 3]


def test_what_waited_gets_later_numbers_when_another_took_its_own(path, journals):
    journal, other = journals(), journals()
    journal.record(EVENT)
    with path.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        waiting = journal.record(EVENT)
        journal.record(EVENT, cause=waiting)
    other.record(EVENT)
    other.record(EVENT)
    journal.record(EVENT)
    assert [(record["seq"], record["cause"]) for record in records(path)] == [
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 4),
        (6, 0),
    ]


FULL_DISK = """
import os, subprocess, sys
from pathlib import Path
from sentinel.core.actions import Unstick
from sentinel.core.events import AgentStopped
from sentinel.core.facts import ProcessId
from sentinel.errors import JournalUnwritable
from sentinel.journal import Journal

place = Path(sys.argv[1])
def mount(*how):
    if subprocess.run(["mount", *how, str(place)], capture_output=True).returncode:
        sys.exit(77)
mount("-t", "tmpfs", "-o", "size=64k", "none")
journal = Journal(place / "events.jsonl", "deadbeef")
numbers = [journal.record(AgentStopped("x" * 1000)) for _ in range(100)]
assert numbers == list(range(1, 101)), numbers
assert "No space left on device" in journal.trouble, journal.trouble
def refused():
    try:
        journal.intend(Unstick(ProcessId(1, 1), ()))
    except JournalUnwritable as error:
        return str(error)
assert "No space left on device" in refused()
assert (place / "events.jsonl").read_bytes().endswith(b"}\\n")
mount("-o", "remount,size=1m")
assert journal.record(AgentStopped("")) == 101
assert journal.trouble == "", journal.trouble
journal.close()  # the kernel makes nothing read-only that is open for writing
mount("-o", "remount,ro")
assert journal.record(AgentStopped("")) == 102
assert "Read-only file system" in refused()
journal.close()
assert "Read-only file system" in Journal(place / "new.jsonl", "deadbeef").trouble
print((place / "events.jsonl").read_text(), end="")
"""


def test_on_a_full_and_on_a_read_only_disk(tmp_path):
    inside = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("missing: mount namespaces")
    done = subprocess.run(
        [*inside, sys.executable, "-c", FULL_DISK, tmp_path], check=False, capture_output=True, text=True, timeout=60
    )
    if done.returncode == 77 and os.getuid():
        pytest.skip("missing: root, to change the size of a file system")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == list(range(1, 102))


# -- several writers, and the death of one ------------------------------------------

WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from sentinel.core.actions import Unstick
    from sentinel.core.facts import ProcessId
    from sentinel.journal import Journal

    journal = Journal(Path(sys.argv[1]), "deadbeef", max_bytes=int(sys.argv[3]), keep=1000)
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        seq = journal.intend(Unstick(ProcessId(1, 1), (f"{sys.argv[4]}-{number}", "x" * 100)))
        sys.stdout.write(f"{seq} {sys.argv[4]}-{number}\\n")
        sys.stdout.flush()
""")


def start_writer(path, records, max_bytes, name):
    command = [sys.executable, "-c", WRITER, str(path), str(records), str(max_bytes), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def told(path):
    """What is in the files: number and mark of each record."""
    return [(record["seq"], record["data"]["evidence"][0]) for record in everything(path)]


def acknowledged(output):
    """What a writer said was written; its last line may be cut."""
    whole, _, _ = output.rpartition("\n")
    return [(int(seq), mark) for seq, mark in map(str.split, whole.splitlines())]


def test_four_writers_lose_nothing_and_share_no_number(path):
    writers = [start_writer(path, 300, 20_000, name) for name in "abcd"]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [entry for writer in writers for entry in acknowledged(writer.communicate(timeout=60)[0])]
    assert [writer.returncode for writer in writers] == [0] * 4
    found = told(path)
    assert [seq for seq, _ in found] == list(range(1, 1201))
    assert sorted(found) == sorted(said)
    assert os.path.exists(f"{path}.5")  # so there were rotations between them


def test_the_death_of_a_writer_loses_nothing_that_was_acknowledged(path):
    said = set()
    for number in range(10):
        writer = start_writer(path, 100_000, 20_000, f"w{number}")
        writer.stdin.write("go\n")
        writer.stdin.flush()
        first = writer.stdout.readline()
        time.sleep(0.0007 * number)
        writer.send_signal(signal.SIGKILL)
        said.update(acknowledged(first + writer.communicate(timeout=60)[0]))
    found = told(path)
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))
    assert said <= set(found)
