"""What a machine lacks, seen from values that it might have."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from types import SimpleNamespace

import pytest

from sentinel import __version__, instance
from sentinel.config import Config
from sentinel.doctor import of_host
from sentinel.doctor.check import CouldNotCheck
from tests.cli.standin import StandIn


@pytest.fixture
def patient(where):
    where.state.mkdir(exist_ok=True)
    return SimpleNamespace(where=where, config=Config())


def found(check, patient):
    return [trouble.what for trouble in check(patient)]


def test_few_descriptors_and_watches_and_no_watcher_are_told(patient, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    monkeypatch.setattr(of_host, "_number", lambda path: 8)
    monkeypatch.setattr(of_host, "_refused_inotify", lambda: errno.EMFILE)
    troubles = list(of_host.limits(patient))
    assert [trouble.what for trouble in troubles] == [
        "few files may be open at once",
        "few directories may be watched",
        "no directory can be watched",
    ]
    assert "Too many open files" in troubles[2].evidence[0]
    assert all(trouble.hint for trouble in troubles)


def test_enough_is_enough(patient, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(of_host, "_number", lambda path: 524288)
    assert found(of_host.limits, patient) == []


def test_a_watcher_that_the_kernel_refuses_is_seen(monkeypatch):
    assert of_host._refused_inotify() is None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/", os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard[1]))
    try:
        assert of_host._refused_inotify() == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, hard)


def test_a_limit_that_cannot_be_read_is_no_answer():
    with pytest.raises(CouldNotCheck):
        of_host._number("/not/there")


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (
            {"why_not_better": "an old kernel", "source": "polling"},
            "the agent hears of births and deaths by polling only",
        ),
        ({"trouble": "the disk is full"}, "what the agent does is not written down"),
        ({"switch_trouble": "the disk is full"}, "what the agent does is not written down"),
        ({"unwatched": "nobody can tell whose it is"}, "a tmux server is not watched"),
        ({"held": "paused"}, "the agent ends nothing"),
        ({"source": "proc connector", "why_not_better": ""}, None),
        ({"version": "0.0.1"}, "the agent that runs is of another version"),
    ],
)
def test_an_agent_that_does_less_than_it_could_says_so(patient, told, what):
    with (
        instance.claim(patient.where),
        contextlib.closing(StandIn(patient.where.inbox, lambda _: {"version": __version__, **told})),
    ):
        assert found(of_host.agent, patient) == ([what] if what else [])


def test_an_agent_that_does_not_answer_cannot_be_checked(patient):
    with instance.claim(patient.where), pytest.raises(CouldNotCheck, match="holds its lock, but"):
        found(of_host.agent, patient)


def test_no_agent_and_a_dead_one_are_told_apart(patient):
    assert found(of_host.agent, patient) == ["no agent runs"]
    with pytest.raises(ZeroDivisionError), instance.claim(patient.where):
        raise ZeroDivisionError
    assert "has died without a word" in found(of_host.agent, patient)[0]


def test_little_room_is_told(patient, monkeypatch):
    assert found(of_host.places, patient) == []
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=1, f_frsize=4096))
    assert found(of_host.places, patient) == [f"there is hardly any room in {patient.where.state}"]


def test_a_home_where_nothing_is_yet_is_well_and_stays_as_it_is(patient):
    patient.where.state.rmdir()
    assert found(of_host.places, patient) == []
    assert not patient.where.state.exists()


def test_a_place_that_is_not_to_be_made_or_not_to_be_written_is_told(patient, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: str(path) == "/")  # root may write anywhere
    assert found(of_host.places, patient) == [f"{patient.where.state} cannot be written"]
    patient.where.state.rmdir()
    assert found(of_host.places, patient) == [f"{patient.where.state.parent} cannot be written"]


def test_a_directory_that_others_may_write_is_told_with_the_cure(patient):
    patient.where.state.chmod(0o777)
    (trouble,) = of_host.places(patient)
    assert f"chmod 700 {patient.where.state}" in trouble.evidence[0]
