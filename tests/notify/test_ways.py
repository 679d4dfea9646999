"""Which ways there are, and to which tmux servers one of them leads."""

from __future__ import annotations

from sentinel.config import Notify
from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.notify.ways import watched_servers, ways_to_the_person


def test_the_ways_are_those_that_the_person_wants_in_that_order_and_once():
    def names(*wanted):
        return [way.name for way in ways_to_the_person(Notify(ways=wanted), list)]

    assert names("desktop", "tmux", "terminal") == ["desktop", "tmux", "terminal"]
    assert names("terminal", "desktop", "terminal") == ["terminal", "desktop"]
    assert names() == []
    assert [way.name for way in ways_to_the_person(Notify(), list)] == ["desktop", "tmux", "terminal"]


def test_only_living_tmux_servers_are_asked():
    ledger = Ledger()
    marks = {}
    for number, kind in enumerate([Kind.TMUX, Kind.TMUX, Kind.PANE], 1):
        marks[number] = SocketMark(f"/run/{number}")
        belongings = Belongings(sockets=(marks[number],))
        ledger.open(Session(kind, str(number), ProcessId(number, 1), belongings=belongings), 0.0)
    ledger.exited(1, Death(1.0, 9))
    assert list(watched_servers(ledger)) == [marks[2]]
