"""Intents of an agent that was killed: told with what is there now, and never carried out again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sentinel.core.actions import Outcome, RemoveSocket, Result, Terminate
from sentinel.core.events import CleanedUp, Left
from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned, Stale
from sentinel.handlers.abandoned import abandoned
from sentinel.journal import Journal
from sentinel.observe import processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

BOOT = processes.boot_id()
US = processes.identify(os.getpid())
GONE = ProcessId(4194303, 7)
REUSED = ProcessId(US.pid, US.start - 1)
SESSION = Session(Kind.AGENT, "claude", GONE)
RUN = Session(Kind.RUN, "api", US)


@pytest.fixture
def journal(where):
    journal = Journal(where.journal, BOOT)
    yield journal
    journal.close()


def condemned(who, name="node"):
    return Condemned(who, ProcessFacts(who, 1, 1, 1, 0, "S", name, 1000), ("born of claude",))


def terminate(*who, session=SESSION):
    return Terminate(session, tuple(map(condemned, who)), 2.0)


def found(where, boot=BOOT):
    return list(abandoned(where.journal, boot))


def test_what_was_announced_and_never_told_is_closed_with_what_is_there_now(where, journal):
    seq = journal.intend(terminate(US, GONE, REUSED))
    journal.intend(terminate(US), seq)  # SIGKILL for the one that was left
    (it,) = found(where)
    assert (it.session, it.intent) == (SESSION.key, seq)
    assert it.targets == tuple(
        Left(str(who), "node", now) for who, now in ((US, "alive"), (GONE, "gone"), (REUSED, "gone"))
    )


def test_files_are_named_with_whether_they_are_there(where, journal):
    here, gone = str(where.journal), str(where.state / "gone")
    for path in (here, gone):
        journal.intend(RemoveSocket(SESSION, Stale(path, 1, 2, ())))
    assert found(where)[0].targets == (Left(here, "", "there"), Left(gone, "", "gone"))


def test_what_was_seen_through_or_closed_before_is_not_told(where, journal):
    seq = journal.intend(terminate(GONE))
    journal.record(CleanedUp(SESSION, (Outcome(str(GONE), Result.ENDED),), 0.1, seq))
    assert found(where) == []
    journal.intend(terminate(GONE))
    (it,) = found(where)
    journal.record(it, it.intent)
    assert found(where) == []


def test_a_session_is_closed_by_its_own_end_alone(where, journal):
    seq = journal.intend(terminate(GONE))
    journal.record(CleanedUp(RUN, (), 0.1, 9))
    assert [it.intent for it in found(where)] == [seq]


def test_after_a_reboot_everybody_is_gone(where, journal):
    journal.intend(terminate(US))
    assert found(where, "another-boot")[0].targets == (Left(str(US), "node", "gone"),)


def test_a_run_that_lives_may_be_at_it(where, journal):
    journal.intend(terminate(US, session=RUN))
    assert found(where) == []
    assert len(found(where, "another-boot")) == 1


def test_it_is_found_behind_a_rotation_and_within_the_tail_only(where, journal):
    seq = journal.intend(terminate(GONE))
    journal.close()
    where.journal.rename(f"{where.journal}.1")
    assert [it.intent for it in found(where)] == [seq]
    with Path(f"{where.journal}.1").open("ab") as file:
        file.write(b"x" * 300_000 + b"\n")
    assert found(where) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"dev.sentinel.action.intended"',
        b'{"type":"dev.sentinel.action.intended","seq":1,"id":"x","data":[]}',
        b'{"type":"dev.sentinel.action.intended","seq":1,"id":"x","data":{"session":{"key":[]},"targets":3}}',
        b'{"type":"dev.sentinel.action.intended","seq":1,"id":"x","data":{"session":{"key":"k"},"targets":[{"id":"z"}]}}',
        b'["dev.sentinel.action.intended"]',
        b"\xff dev.sentinel.action.intended",
    ],
)
def test_a_damaged_journal_is_no_reason_not_to_start(where, line):
    where.journal.write_bytes(line + b"\n")
    assert [it.targets for it in found(where)] in ([], [()])


def test_without_a_journal_nothing_is_open(where):
    assert found(where) == []
