import pytest

from sentinel.core.facts import Gone, ProcessFacts, ProcessId, SocketFacts, Unknown
from sentinel.core.sessions import SocketMark
from sentinel.environments.health import Health, faults, health, leftovers
from sentinel.environments.project import Project
from sentinel.environments.scene import OVERMIND, Claim, Holder, Manager, Server, Survey

SHOP = Project("shop", "/shop", ports=(3001,), socket="/shop/.overmind.sock")


def facts(pid, name="ruby"):
    return ProcessFacts(ProcessId(pid, 1), 1, pid, pid, 0, "S", name, 1000)


RUNNING = Manager(OVERMIND, facts(10, "overmind"), "/shop/.overmind.sock", "label")
SERVER = Server(facts(11, "tmux: server"), "label", None, managed=True)
ZOMBIE = Server(facts(12, "tmux: server"), "old", None, managed=False)
OURS, THEIRS = Holder(1000, 20, "ruby", "/shop", ours=True), Holder(0)


def scene(managers=(), servers=(), ports=None, *, claimed=(), socket=None, dead=()):
    claims = [*(one.facts for one in (*managers, *servers)), *claimed]
    return Survey(
        SHOP,
        None,
        tuple(managers),
        tuple(servers),
        {one.id: Claim(one, ("why",), one.id.pid in {10, 11}, one.id.pid) for one in claims},
        {3001: ()} if ports is None else ports,
        socket or Gone(),
        tuple(dead),
        (),
    )


STALE = SocketFacts("/shop/.overmind.sock", 1, 2, is_socket=True, uid=1000, modified=0.0, bound=False)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (scene([RUNNING], [SERVER], {3001: (OURS,)}), Health.HEALTHY),
        (scene([RUNNING], [SERVER]), Health.PARTIAL),
        (scene([RUNNING], [SERVER], {3001: (OURS, THEIRS)}), Health.PARTIAL),
        (scene([RUNNING], [], {3001: (OURS,)}), Health.PARTIAL),
        (scene([Manager(OVERMIND, facts(10))], [SERVER], {3001: (OURS,)}), Health.PARTIAL),
        (scene([Manager("honcho", facts(10))], [], {3001: (OURS,)}), Health.HEALTHY),
        (scene(ports={3001: (OURS,)}, claimed=[facts(20)]), Health.PARTIAL),
        (scene(servers=[ZOMBIE]), Health.STOPPED),
        (scene(ports={3001: (THEIRS,)}), Health.STOPPED),
        (scene(ports=Unknown("which ports", "no answer")), Health.UNKNOWN),
    ],
)
def test_the_whole_of_it_in_one_word(seen, expected):
    assert health(seen) is expected
    assert bool(list(faults(seen))) is (expected is not Health.HEALTHY) or expected is Health.UNKNOWN


def test_what_lies_around_is_counted_once():
    mark = SocketMark("/x", 1, 2)
    left = list(leftovers(scene(servers=[ZOMBIE], claimed=[facts(20), facts(21)], socket=STALE, dead=[mark])))
    assert left == [
        "a stale socket",
        "1 tmux server whose Overmind has ended: old",
        "2 processes that nothing stands over any more",
        "1 file of tmux or Overmind that nobody holds",
    ]
    assert list(leftovers(scene([RUNNING], [SERVER], dead=[mark]))) == []
