"""What the real agent weighs, and that it sleeps when nothing happens.

Sizes and counts, no times: they hold on any machine. The times are in ``benchmarks/``, whose
actors and whose user of its own serve here too.
"""

from __future__ import annotations

import os
import shutil
import time

import pytest

from benchmarks import gauges
from benchmarks.idle import Wakeups, count, watch
from benchmarks.lab import Lab

pytestmark = [pytest.mark.real, pytest.mark.alone]

SESSIONS = 20
CHILDREN = 2
CAME_AND_WENT = 200
LARGEST_MIB = 30.0
BEYOND_THE_FIRST_THREAD = 1  # watchdog's reader
SLACK = 2
NOT_IN_THE_AGENT = {
    "psutil",  # samples only where the kernel tells nothing: +3 MiB
    "plyer",  # blocks: it lives in a worker process
    "libtmux",
    "rich",
    "platformdirs",  # every directory is named by the environment here
    "email",
    "_ssl",  # asyncio would import it: +4 MiB
    "http",
    "unittest",
    "xml",
}


@pytest.fixture(scope="module")
def lab():
    if os.geteuid() != 0:
        pytest.skip("missing: root (to run the agent as a user of its own)")
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    if shutil.which("gcc") is None:
        pytest.skip("missing: gcc")
    with Lab() as lab:
        yield lab


def crowd(lab, sessions=SESSIONS):
    return lab.running([lab.actor("crowd"), str(sessions), lab.actor("claude"), "session", str(CHILDREN)])


@pytest.fixture(scope="module")
def agent(lab):
    """It watches twenty sessions in which nothing happens, and has looked at all of them."""
    with lab.agent() as agent:
        if "proc connector" not in agent.greeting:
            pytest.skip(f"missing: Linux 6.6 ({agent.greeting})")
        with crowd(lab):
            agent.wait_for("session.opened", SESSIONS)
            time.sleep(4)  # the last look for a session's sockets comes three seconds after its birth
            yield agent


def test_it_weighs_no_more_than_was_promised(agent):
    assert gauges.resident(agent.pid) <= LARGEST_MIB


def test_it_has_no_thread_but_what_watches_files(agent):
    assert gauges.threads(agent.pid) <= 1 + BEYOND_THE_FIRST_THREAD


def test_it_holds_one_descriptor_for_each_watched_process_and_few_besides(agent):
    watched = SESSIONS * (1 + CHILDREN)
    assert watched <= gauges.descriptors(agent.pid) <= watched + 20


def test_it_does_not_wake_up_for_nothing(agent, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("missing: strace")
    wakeups = watch(agent.pid, 5, tmp_path / "strace")
    assert wakeups.uncaused == 0


def test_it_wakes_up_for_something_and_that_is_seen(agent, lab, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("missing: strace")
    birth = lab.start(["sh", "-c", "sleep 2; exec true"])
    wakeups = watch(agent.pid, 3, tmp_path / "strace")
    birth.communicate()
    assert wakeups.all > wakeups.uncaused == 0


def test_it_is_the_same_after_many_sessions_came_and_went(agent, lab):
    opened, closed = agent.count("session.opened"), agent.count("session.closed")
    before = gauges.threads(agent.pid), gauges.descriptors(agent.pid)
    with crowd(lab, CAME_AND_WENT):
        agent.wait_for("session.opened", opened + CAME_AND_WENT)
        assert gauges.descriptors(agent.pid) > before[1] + CAME_AND_WENT
    agent.wait_for("session.closed", closed + CAME_AND_WENT)
    deadline = time.monotonic() + 20  # it closes the last ones behind its word of it
    while abs(gauges.descriptors(agent.pid) - before[1]) > SLACK and time.monotonic() < deadline:
        time.sleep(0.02)
    assert abs(gauges.descriptors(agent.pid) - before[1]) <= SLACK
    assert gauges.threads(agent.pid) == before[0]
    assert gauges.resident(agent.pid) <= LARGEST_MIB
    assert agent.count("handler.failed") == 0


def test_it_imports_nothing_heavy(lab, tmp_path):
    # -X importtime says each import when it is made: "import time: SELF | CUMULATIVE | NAME".
    imports = tmp_path / "imports"
    with imports.open("w") as log, lab.agent(interpreter=("-X", "importtime"), errors=log) as agent, crowd(lab, 1):
        agent.wait_for("session.opened", 1)
        imported = {line.rpartition("|")[2].strip() for line in imports.read_text().splitlines()}
    assert {"sentinel.app", "asyncio", "pyee", "msgspec"} <= imported
    assert not {name for name in imported if name.partition(".")[0] in NOT_IN_THE_AGENT}


# -- how wake-ups are told apart -------------------------------------------------------

LOG = """\
7  100.000000 epoll_wait(4, [{events=EPOLLIN, data={u32=8, u64=8}}], 4, -1) = 1 <0.500000>
7  100.500100 recvfrom(8, "..."..., 1024, 0, NULL, NULL) = 76 <0.000010>
7  100.500200 epoll_wait(4, [], 3, 4) = 0 <0.004100>
7  100.504400 epoll_wait(4,  <unfinished ...>
7  102.000000 <... epoll_wait resumed>[], 3, 1500) = 0 <1.495600>
7  102.000100 read(5, "1 (init) S 0 1 1 0"..., 8192) = 269 <0.000010>
7  102.000200 epoll_wait(4, [], 3, 1000) = 0 <1.000200>
9  103.100000 poll([{fd=5}], 1, -1) = 1 ([{fd=5, revents=POLLIN}]) <0.100000>
9  103.200000 epoll_wait(4, 0x7f, 3, -1) = -1 EINTR (Interrupted system call) <0.200000>
7  104.000000 epoll_wait(4, [], 3, 4) = 0 <0.004100>
7  104.004200 recvfrom(8, "..."..., 1024, 0, NULL, NULL) = 76 <0.000010>
7  104.004300 epoll_wait(4, [], 3, 4) = 0 <0.004100>
7  104.008500 recvfrom(8, 0x7f, 1024, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable) <0.000010>
7  200.000000 epoll_wait(4, [], 3, 1000) = 0 <1.000200>
"""


def test_a_wake_up_because_time_is_over_is_one_for_nothing_but_in_a_storm():
    assert count(LOG.splitlines(), 99.0, 199.0) == Wakeups(all=7, uncaused=2)
