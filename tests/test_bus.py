from __future__ import annotations

import logging

import pytest

from sentinel.bus import Bus
from sentinel.core.events import AgentStopped, Event, FileChanged, HandlerFailed, LookDue, SourceDegraded


class Book:
    """Numbers what is recorded, and keeps it with its cause."""

    def __init__(self):
        self.kept = []

    def __call__(self, event, cause):
        self.kept.append((event, cause))
        return len(self.kept)


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def bus(book):
    return Bus(book)


def test_events_are_answered_in_the_order_in_which_they_were_published(bus):
    seen = []

    def first(event):
        seen.append(("first", event.path))
        if event.path == "a":
            bus.publish(FileChanged("b"))
            assert seen == [("first", "a")]

    bus.subscribe(FileChanged, first)
    bus.subscribe(FileChanged, lambda event: seen.append(("second", event.path)))
    bus.publish(FileChanged("a"))
    assert seen == [("first", "a"), ("second", "a"), ("first", "b"), ("second", "b")]


def test_a_failing_handler_keeps_nobody_from_answering(bus, book, caplog):
    seen = []

    def fails(event):
        raise KeyError(event.path)

    bus.subscribe(FileChanged, fails)
    bus.subscribe(FileChanged, lambda event: seen.append(event.path))
    bus.subscribe(HandlerFailed, seen.append)
    with caplog.at_level(logging.CRITICAL):
        bus.publish(FileChanged("a"))
    assert seen[0] == "a"
    assert (seen[1].event, seen[1].error) == ("FileChanged", "KeyError: 'a'")
    assert "fails" in seen[1].handler
    assert [event for event, _ in book.kept] == [seen[1]]


def test_the_log_has_what_a_handler_failed_of(bus, caplog):
    bus.subscribe(FileChanged, lambda event: 1 / 0)
    bus.publish(FileChanged("a"))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "FileChanged" in record.getMessage()
    assert record.exc_info[0] is ZeroDivisionError


def test_a_handler_that_fails_on_failures_does_not_go_on_for_ever(bus, book, caplog):
    def fails(event):
        raise ValueError

    bus.subscribe(FileChanged, fails)
    bus.subscribe(HandlerFailed, fails)
    with caplog.at_level(logging.CRITICAL):
        bus.publish(FileChanged("a"))
    assert len(book.kept) == 1


def test_after_a_failure_the_bus_still_works(bus, caplog):
    seen = []
    bus.subscribe(FileChanged, lambda event: 1 / 0)
    bus.subscribe(LookDue, seen.append)
    with caplog.at_level(logging.CRITICAL):
        bus.publish(FileChanged("a"))
    bus.publish(LookDue("now"))
    assert seen == [LookDue("now")]


def test_what_follows_from_an_event_has_it_as_its_cause_also_through_chatter(bus, book):
    bus.subscribe(SourceDegraded, lambda event: bus.publish(LookDue("it")))
    bus.subscribe(LookDue, lambda event: bus.publish(AgentStopped("it")))
    bus.publish(SourceDegraded("files", "no watches left"))
    assert [(type(event), cause) for event, cause in book.kept] == [(SourceDegraded, 0), (AgentStopped, 1)]
    assert bus.current == 0


def test_a_cause_can_be_named(bus, book):
    bus.publish(AgentStopped("it"), cause=7)
    assert book.kept == [(AgentStopped("it"), 7)]


def test_chatter_is_not_recorded(bus, book):
    bus.publish(FileChanged("a"))
    assert book.kept == []


def test_listeners_hear_of_exactly_their_kind(bus):
    seen = []
    bus.subscribe(Event, seen.append)
    bus.publish(FileChanged("a"))
    assert seen == []
