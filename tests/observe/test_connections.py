"""Who is at the other ends of real sockets. Both ends are the test's own: which are inside is what it says."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time

import pytest

from sentinel.observe import sock_diag
from sentinel.observe.connections import Connections, Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
HANG = 10.0


@pytest.fixture
def ends():
    """Opens sockets, and asks about them afresh each time."""
    with contextlib.ExitStack() as stack:

        class Ends:
            keep = staticmethod(stack.enter_context)

            def listen(self, address=("127.0.0.1", 0), family=socket.AF_INET, backlog=8):
                server = self.keep(socket.socket(family, socket.SOCK_STREAM))
                server.bind(address)
                server.listen(backlog)
                return server

            def call(self, server, address=None):
                caller = self.keep(socket.socket(server.family, socket.SOCK_STREAM))
                caller.connect(address or server.getsockname())
                return caller

            def accept(self, server):
                return self.keep(server.accept()[0])

            def clients(self, *mine, inside=()):
                with contextlib.closing(Connections()) as asked:
                    return list(asked.clients(inodes(*mine), inodes(*mine, *inside)))

            def on_screen(self, *mine, inside=()):
                with contextlib.closing(Connections()) as asked:
                    return asked.on_screen(inodes(*mine), inodes(*mine, *inside))

            def fed_by(self, one, inside=()):
                with contextlib.closing(Connections()) as asked:
                    return asked.fed_by(*inodes(one), inodes(one, *inside))

        yield Ends()


def inodes(*sockets):
    return {os.fstat(one.fileno()).st_ino for one in sockets}


def until(true):
    deadline = time.monotonic() + HANG
    while not (answer := true()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


def test_an_accepted_connection_is_a_client_until_it_ends(ends):
    server = ends.listen()
    port = server.getsockname()[1]
    assert ends.clients(server) == []
    caller = ends.call(server)
    mine = ends.accept(server)
    assert ends.clients(server, mine) == [f"127.0.0.1:{caller.getsockname()[1]}, connected to its port {port}"]
    assert ends.clients(mine, inside=[server]) == ends.clients(server, mine)  # a worker, whose first process listens
    assert ends.clients(server, mine, inside=[caller]) == []
    caller.close()
    until(lambda: ends.clients(server, mine) == [])  # the kernel's own thread may have to tell the other end


def test_mercy_a_client_whom_a_table_in_many_pieces_does_not_show_is_in_the_next(ends, monkeypatch):
    server = ends.listen()
    ends.call(server)
    mine, collect, asked = ends.accept(server), sock_diag._collect, []

    def in_pieces(netlink):  # which socket the kernel skips cannot be arranged
        asked.append(netlink)
        answer = collect(netlink)
        return answer._replace(messages=answer.messages if len(asked) > 1 else [], pieces=2)

    monkeypatch.setattr(sock_diag, "_collect", in_pieces)
    assert len(ends.clients(server, mine)) == 1


def test_what_is_left_of_an_answer_that_broke_off_is_no_other_questions(ends, tmp_path, monkeypatch):
    server, told = ends.listen(str(tmp_path / "s"), socket.AF_UNIX), sock_diag._collect
    with contextlib.closing(Connections()) as asked:
        monkeypatch.setattr(sock_diag, "_collect", lambda _: (_ for _ in ()).throw(OSError(105, "No room")))
        with pytest.raises(OSError, match="No room"):
            asked.tcp()
        monkeypatch.setattr(sock_diag, "_collect", told)
        (inode,) = inodes(server)
        assert asked.unix(inode).state == sock_diag.LISTEN


def test_one_that_has_said_all_and_still_listens_is_a_client(ends):
    server = ends.listen()
    caller = ends.call(server)
    mine = ends.accept(server)
    caller.shutdown(socket.SHUT_WR)
    assert ends.clients(server, mine)


def test_one_that_was_not_accepted_yet_waits_for_whoever_listens(ends):
    server = ends.listen()
    caller = ends.call(server)
    other = ends.listen()
    until(lambda: len(ends.clients(server)) == 1)
    assert ends.clients(other) == []
    assert ends.clients(server, inside=[caller]) == []


def test_one_that_finds_the_queue_full_waits_too(ends):
    server = ends.listen(backlog=0)
    ends.call(server)
    late = ends.keep(socket.socket())
    late.setblocking(False)  # noqa: FBT003 - it has no name there
    late.connect_ex(server.getsockname())
    where = until(lambda: late.getsockname()[1])
    port = server.getsockname()[1]
    assert f"127.0.0.1:{where}, which waits at its port {port}" in ends.clients(server)


def test_who_calls_is_no_server(ends):
    server = ends.listen()
    caller = ends.call(server)
    ends.accept(server)
    assert ends.clients(caller) == []


def test_ports_are_those_on_which_these_sockets_listen(ends, tmp_path):
    server, other = ends.listen(), ends.listen()
    caller = ends.call(server)
    mine = ends.accept(server)
    unix = ends.listen(str(tmp_path / "s"), socket.AF_UNIX)
    number = server.getsockname()[1]
    with contextlib.closing(Connections()) as asked:
        assert asked.ports(inodes(server, caller, mine, unix)) == {number}
        assert asked.ports(inodes(server, other)) == {number, other.getsockname()[1]}
        assert asked.ports(inodes(unix)) == set()


def test_an_old_address_in_new_clothes_is_the_same_address(ends):
    server = ends.keep(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    caller = ends.keep(socket.create_connection(("127.0.0.1", server.getsockname()[1])))
    mine = ends.accept(server)
    assert len(ends.clients(server, mine)) == 1
    assert ends.clients(server, mine, inside=[caller]) == []


def test_ipv6_is_seen(ends):
    try:
        server = ends.listen(("::1", 0), socket.AF_INET6)
    except OSError:
        pytest.skip("missing: IPv6")
    caller = ends.call(server)
    (said,) = ends.clients(server, ends.accept(server))
    assert said.startswith(f"[::1]:{caller.getsockname()[1]}, ")


@pytest.mark.parametrize("name", ["file", "abstract"])
def test_clients_of_a_unix_socket(ends, tmp_path, name):
    address = str(tmp_path / "s") if name == "file" else f"\0sentinel-test-{os.getpid()}"
    server = ends.listen(address, socket.AF_UNIX)
    shown = address.replace("\0", "@")
    assert ends.clients(server) == []
    caller = ends.call(server)
    assert ends.clients(server) == [f"a process that waits at its socket {shown}"]
    assert ends.clients(server, inside=[caller]) == []
    mine = ends.accept(server)
    assert ends.clients(server, mine) == [f"a process that is connected to its socket {shown}"]
    assert ends.clients(server, mine, inside=[caller]) == []
    assert ends.clients(caller) == []
    caller.close()
    assert ends.clients(server, mine) == []


def test_more_who_wait_than_one_answer_holds_are_no_error(ends, tmp_path):
    server = ends.listen(str(tmp_path / "s"), socket.AF_UNIX, backlog=1500)
    callers = [ends.call(server) for _ in range(1200)]
    with contextlib.suppress(OSError):  # the kernel answers in a page at most; then nobody knows
        assert ends.clients(server)
    assert callers


def test_a_pair_has_no_client_and_feeds(ends):
    one, other = (ends.keep(end) for end in socket.socketpair())
    assert ends.clients(one) == []
    assert ends.fed_by(one) == "the process at the other end of its input"
    assert ends.fed_by(one, inside=[other]) == ""
    other.close()
    assert ends.fed_by(one) == ""


def test_a_connection_can_be_an_input(ends):
    server = ends.listen()
    caller = ends.call(server)
    mine = ends.accept(server)
    assert ends.fed_by(mine) == f"127.0.0.1:{caller.getsockname()[1]}"
    assert ends.fed_by(mine, inside=[caller]) == ""
    assert ends.fed_by(server) == ""
    caller.close()
    until(lambda: ends.fed_by(mine) == "")


@pytest.mark.parametrize(("name", "shown"), [("wayland-0", True), (".X11-unix/X7", True), ("bus", False)])
def test_the_display_is_told_by_the_name_of_its_socket(ends, tmp_path, monkeypatch, name, shown):
    monkeypatch.setattr("sentinel.observe.connections._DISPLAYS", (f"{tmp_path}/.X11-unix/",))
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    server = ends.listen(str(path), socket.AF_UNIX)
    caller = ends.call(server)
    accepted = ends.accept(server)
    assert ends.on_screen(caller) is shown
    assert ends.on_screen(caller, inside=[server, accepted]) is False
    assert ends.on_screen(server, accepted) is False


def test_a_display_handed_on_by_ssh_is_one(ends):
    for port in range(6050, 6100):
        with contextlib.suppress(OSError):
            server = ends.listen(("127.0.0.1", port))
            break
    assert ends.on_screen(ends.call(server)) is True
    assert ends.on_screen(ends.call(ends.listen())) is False


def test_other_sockets_are_nobodys_clients(ends):
    udp = ends.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    fresh = ends.keep(socket.socket())
    assert ends.clients(udp, fresh) == []
    for one, unknown in [(udp, True), (ends.listen(), False), (ends.listen("\0sentinel", socket.AF_UNIX), False)]:
        with contextlib.closing(Connections()) as asked:
            assert asked.unaccounted(inodes(one)) is unknown


@pytest.mark.parametrize(("state", "alive"), [(1, True), (3, True), (4, False), (8, False)])
def test_of_another_machine_it_is_known_whether_it_has_said_that_it_is_through(ends, state, alive):
    from sentinel.observe.connections import Tcp, TcpTable

    there = Place(bytes([10, 0, 0, 1]), 5555)
    entry = Tcp(state, Place(bytes([10, 0, 0, 2]), 80), there, 7)
    assert TcpTable().alive(entry, None, ()) is alive
    assert (str(there), there.local) == ("10.0.0.1:5555", False)


def test_one_question_is_asked_once(ends, monkeypatch):
    one, other = (ends.keep(end) for end in socket.socketpair())
    with contextlib.closing(Connections()) as asked:
        assert asked.fed_by(*inodes(one), inodes(one))
        other.close()
        assert asked.fed_by(*inodes(one), inodes(one))  # of one moment


def test_the_sockets_of_another_process_are_seen_alike(ends):
    script = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
caller, _ = server.accept()
print(flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        caller = ends.keep(socket.create_connection(("127.0.0.1", int(process.stdout.readline()))))
        process.stdout.readline()
        links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
        theirs = {int(link[8:-1]) for link in links if link.startswith("socket:[")}
        with contextlib.closing(Connections()) as asked:
            assert list(asked.clients(theirs, theirs))
        with contextlib.closing(Connections()) as asked:
            assert list(asked.clients(theirs, theirs | inodes(caller))) == []
        process.kill()
