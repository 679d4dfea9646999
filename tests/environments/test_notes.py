from dataclasses import replace

from sentinel.core.facts import ProcessId
from sentinel.environments import notes
from sentinel.environments.notes import Note, Started
from sentinel.environments.project import Project
from sentinel.environments.projectfile import Wishes
from sentinel.observe import processes
from sentinel.paths import Paths

PROJECT = Project("shop", "/home/you/shop", wishes=Wishes(start="bin/dev"), file="/home/you/shop/sentinel.toml")
STARTED = Started("boot", "honcho", 7, 8, 1.5, "claude (pid 6)", "/logs")


def places(root):
    return Paths(root / "config", root / "state", root / "runtime")


def test_what_is_written_is_read_and_listed(tmp_path):
    where = places(tmp_path)
    assert notes.read(where, PROJECT) == Note("/home/you/shop", "shop")
    notes.write(where, PROJECT, Note("", allowed="x", started=STARTED))
    expected = Note("/home/you/shop", "shop", "x", STARTED)
    assert notes.read(where, PROJECT) == expected
    (tmp_path / "state" / "projects" / "broken.json").write_text("{")
    assert list(notes.every(where)) == [expected]


def test_nothing_is_known_where_nothing_was_written(tmp_path):
    assert list(notes.every(places(tmp_path))) == []


def test_who_was_started_in_another_boot_is_nobody():
    here = replace(STARTED, boot=processes.boot_id())
    assert notes.root_of(here) == ProcessId(7, 8)
    assert notes.root_of(STARTED) is None
    assert notes.root_of(None) is None


def test_what_is_allowed_is_what_the_file_said_and_where():
    note = Note("", allowed=notes.fingerprint(PROJECT))
    assert notes.is_allowed(PROJECT, note)
    assert not notes.is_allowed(PROJECT, Note(""))
    for changed in (
        replace(PROJECT, wishes=Wishes(start="bin/dev --evil")),
        replace(PROJECT, wishes=Wishes(start="bin/dev", ports=(80,))),
        replace(PROJECT, directory="/home/you/copy"),
        replace(PROJECT, file="/home/you/shop/pyproject.toml"),
    ):
        assert not notes.is_allowed(changed, note)


def test_a_file_that_wants_nothing_run_needs_no_word():
    assert notes.is_allowed(replace(PROJECT, wishes=Wishes(ports=(80,))), Note(""))
    assert not notes.is_allowed(replace(PROJECT, wishes=Wishes(procfile="Procfile.dev")), Note(""))
