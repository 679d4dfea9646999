"""Files of dead sessions: which are moved away, and which stay."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from dataclasses import replace

import pytest

from sentinel.core.actions import Result
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.policy import Mode, Policy
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.core.verdicts import Kept, Stale
from sentinel.errors import JournalUnwritable
from sentinel.handlers.leftovers import Leftovers
from sentinel.history import History
from sentinel.observe import overmind, sockets
from sentinel.reaper import returns
from sentinel.reaper.quarantine import moment
from tests.handlers.room import killed, moves_files
from tests.lab.elsewhere import listening_elsewhere

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

WORD = "abcdefghijklmnopqrstu"


@pytest.fixture
def leftovers(room):
    return Leftovers(room.ledger, room.journal, room.where.quarantine, os.getuid())


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "project"
    path.mkdir()
    return path


def die(room, belongings, *, name="shop", kind=Kind.OVERMIND, pid=4242):
    """A session of those belongings that has died."""
    session = Session(kind, name, ProcessId(pid, 7), born=time.time() - 60, belongings=belongings)
    room.ledger.open(session, time.monotonic())
    room.ledger.exited(pid, killed())
    return session


def bind(path):
    """A living socket at ``path``."""
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    bound.listen()
    return bound


def mark(path):
    status = os.lstat(path)
    return SocketMark(str(path), status.st_dev, status.st_ino)


def moved(leftovers, session):
    """What was moved away; the rest is said to stay, with a reason."""
    outcomes = leftovers.remove(session, Policy())
    kept = [outcome for outcome in outcomes if outcome.result is Result.KEPT]
    assert all(outcome.reason for outcome in kept)
    assert not kept or leftovers.verdicts(session)
    return [outcome for outcome in outcomes if outcome not in kept]


def script_directory(place, title="shop", word=WORD, mode=0o700):
    directory = place / f"overmind-{title}-{word}"
    directory.mkdir(mode=mode)
    return directory


@moves_files
def test_a_dead_socket_is_kept_in_quarantine_and_recorded_first(room, leftovers, place):
    with bind(place / "o.sock"):
        belongings = Belongings((mark(place / "o.sock"),))
    session = die(room, belongings)
    (outcome,) = leftovers.remove(session, Policy())
    assert (outcome.result, outcome.target) == (Result.REMOVED, str(place / "o.sock"))
    assert os.listdir(place) == []
    (intent,) = [e.record for e in History(room.where.journal).read() if e.record["type"].endswith("action.intended")]
    assert intent["data"]["target"]["path"] == str(place / "o.sock")
    assert 'made by Overmind "shop", which was killed by SIGKILL' in intent["data"]["target"]["evidence"]


def test_a_socket_that_somebody_holds_stays(room, leftovers, place):
    with bind(place / "o.sock"):
        session = die(room, Belongings((mark(place / "o.sock"),)))
        (outcome,) = leftovers.remove(session, Policy())
        assert (outcome.result, outcome.reason) == (Result.KEPT, "a living process holds this socket")
        assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["in-use"]
    assert os.listdir(place) == ["o.sock"]


@moves_files
@pytest.mark.parametrize("seen", [False, True])
def test_mercy_a_socket_that_one_in_another_network_namespace_made_in_its_place_stays(room, leftovers, place, seen):
    """The kernel's table does not show it: a container that has the directory may be the next to listen there.

    ``seen``: it has the inode of the socket before it, which ext4 gives to the next file.
    """
    with listening_elsewhere(place / "o.sock"):
        session = die(room, Belongings((mark(place / "o.sock") if seen else SocketMark(str(place / "o.sock")),)))
        assert not moved(leftovers, session)
        assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["in-use"]
        assert os.listdir(place) == ["o.sock"]
    assert len(moved(leftovers, session)) == 1


def test_a_socket_that_the_next_one_made_in_its_place_stays(room, leftovers, place):
    with bind(place / "o.sock"):
        session = die(room, Belongings((mark(place / "o.sock"),)))
        (place / "o.sock").rename(place / "away")  # so that its inode is not given to the next
    with bind(place / "o.sock"):
        pass
    assert not moved(leftovers, session)
    assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["identity"]


def test_a_file_that_is_no_socket_stays(room, leftovers, place):
    (place / "o.sock").write_text("precious")
    session = die(room, Belongings((SocketMark(str(place / "o.sock")),)))
    assert not moved(leftovers, session)
    assert (place / "o.sock").read_text() == "precious"


def test_when_it_only_observes_nothing_is_moved(room, leftovers, place):
    with bind(place / "o.sock"):
        session = die(room, Belongings((mark(place / "o.sock"),)))
    assert leftovers.remove(session, Policy(mode=Mode.OBSERVE)) == []
    assert os.listdir(place) == ["o.sock"]
    assert [type(verdict) for verdict in leftovers.verdicts(session)] == [Stale]


def test_what_cannot_be_recorded_is_not_moved(room, leftovers, place, monkeypatch):
    with bind(place / "o.sock"):
        session = die(room, Belongings((mark(place / "o.sock"),)))

    def full(*_):
        raise JournalUnwritable("no space left on device")

    for step in ("sync", "intend"):
        monkeypatch.setattr(room.journal, step, full)
        (outcome,) = leftovers.remove(session, Policy())
        assert outcome.result is Result.REFUSED
        assert outcome.reason.endswith("no space left on device")
    assert os.listdir(place) == ["o.sock"]


def test_a_session_without_files_costs_no_look(room, leftovers, monkeypatch):
    monkeypatch.setattr(sockets, "bound_inodes", lambda: pytest.fail("it looked"))
    monkeypatch.setattr(overmind, "script_directories", lambda *_: pytest.fail("it looked"))
    assert leftovers.remove(die(room, Belongings(), kind=Kind.AGENT), Policy()) == []


@moves_files
@pytest.mark.parametrize("what", ["socket", "directory"])
def test_mercy_what_a_person_put_back_stays_and_is_said_to(room, leftovers, place, what):
    directory = script_directory(place) if what == "directory" else None
    with bind(place / "o.sock"):
        had = Belongings((mark(place / "o.sock"),)) if directory is None else shop(place, directories=(str(directory),))
    (removed,) = leftovers.remove(die(room, had), Policy())
    assert removed.result is Result.REMOVED
    for it in returns.kept(room.where.quarantine, moment()):
        returns.put_in_place(room.where.quarantine, it)
    if directory is not None:
        (directory / "notes").write_text("of one who looks at it")  # which makes it no other
    session = die(room, had, pid=4243)
    (outcome,) = leftovers.remove(session, Policy())
    assert (outcome.target, outcome.result, outcome.reason) == (removed.target, Result.KEPT, "its user has put it back")
    assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["returned"]
    assert os.path.lexists(removed.target)


# -- script directories ----------------------------------------------------------------------


def shop(place, **more):
    return Belongings(title="shop", script_root=str(place), **more)


@moves_files
def test_a_script_directory_written_in_its_lifetime_is_moved(room, leftovers, place):
    directory = script_directory(place)
    outcomes = leftovers.remove(die(room, shop(place)), Policy())
    assert [(outcome.target, outcome.result) for outcome in outcomes] == [(str(directory), Result.REMOVED)]
    assert os.listdir(place) == []


def test_directories_of_other_titles_and_other_names_stay(room, leftovers, place):
    script_directory(place, "shopping")
    (place / "overmind-shop-short").mkdir(mode=0o700)
    (place / "shop").mkdir(mode=0o700)
    assert not moved(leftovers, die(room, shop(place)))
    assert len(os.listdir(place)) == 3


@moves_files
@pytest.mark.parametrize("own", [True, False])
def test_one_older_than_the_session_is_moved_only_if_it_is_its_own_by_name(room, leftovers, place, own):
    directory = script_directory(place)
    os.utime(directory, (time.time() - 3600, time.time() - 3600))
    session = die(room, shop(place, directories=(str(directory),) if own else ()))
    assert [outcome.result for outcome in leftovers.remove(session, Policy())] == [Result.REMOVED] * own
    assert directory.exists() is not own


@moves_files
@pytest.mark.parametrize("title", ["shop", "Shop", "other"])
def test_while_another_of_its_title_lives_only_its_own_is_moved(room, leftovers, place, title):
    own, unclear = script_directory(place), script_directory(place, word="z" * 21)
    rival = Session(Kind.OVERMIND, title, ProcessId(77, 7), belongings=Belongings(title=title))
    room.ledger.open(rival, time.monotonic())
    session = die(room, shop(place, directories=(str(own),)))
    leftovers.remove(session, Policy())
    assert not own.exists()
    assert unclear.exists() is (title != "other")


def test_mercy_what_a_living_one_is_known_to_have_stays_though_its_tmux_server_has_bound_no_socket_yet(
    room, leftovers, place
):
    """A server goes by its name before it binds: on a busy machine, or between two samples, one looks in between."""
    directory = script_directory(place)
    before = shop(place, sockets=(SocketMark(str(place / ".overmind.sock")),))
    heir = Session(Kind.OVERMIND, "shop", ProcessId(77, 7), belongings=replace(before, directories=(str(directory),)))
    room.ledger.open(heir, time.monotonic())
    session = die(room, before)
    assert not moved(leftovers, session)
    assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["in-use"]


def test_mercy_a_directory_that_was_made_after_the_death_stays(room, leftovers, place):
    """It is of the next one, started at once: nobody may have recognised that one yet."""
    session = die(room, shop(place))
    time.sleep(0.02)  # file times go by the tick
    directory = script_directory(place)
    assert not moved(leftovers, session)
    assert directory.exists()
    assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["identity"]


def test_a_directory_that_others_can_enter_is_not_overminds(room, leftovers, place):
    script_directory(place).chmod(0o755)
    session = die(room, shop(place))
    assert not moved(leftovers, session)
    assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["not-overmind"]


def test_a_directory_that_a_living_tmux_server_has_the_name_of_stays(room, leftovers, place):
    directory = script_directory(place)
    with tempfile.TemporaryDirectory() as short, bind(f"{short}/{directory.name}"):
        session = die(room, shop(place, directories=(str(directory),)))
        assert not moved(leftovers, session)
        assert [verdict.guard for verdict in leftovers.verdicts(session)] == ["in-use"]


def test_when_it_cannot_be_told_which_sockets_live_everything_stays(room, leftovers, place, monkeypatch):
    script_directory(place)
    with bind(place / "o.sock"):
        belongings = shop(place, sockets=(mark(place / "o.sock"),))
    session = die(room, belongings)
    monkeypatch.setattr(sockets, "bound_inodes", lambda: Unknown("which sockets are bound", "a test says so"))
    assert not moved(leftovers, session)
    assert [type(verdict) for verdict in leftovers.verdicts(session)] == [Kept, Kept]


def test_a_script_root_that_cannot_be_read_is_no_reason_to_fail(room, leftovers, place):
    assert leftovers.remove(die(room, shop(place / "nowhere")), Policy()) == []


def test_what_was_tried_in_vain_is_not_tried_again(room, leftovers, place):
    directory = script_directory(place)
    assert leftovers.remove(die(room, shop(place)), Policy(), [str(directory)]) == []
    assert os.path.isdir(directory)
