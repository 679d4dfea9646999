import os
import socket
import subprocess

from sentinel.core.facts import Unknown
from sentinel.observe import ports


def test_ports_are_told_by_process():
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        with socket.create_connection(four.getsockname()):
            found = ports.ports_of([os.getpid(), 1])
        mine = sorted({four.getsockname()[1], six.getsockname()[1]})
        assert [port for port in found[os.getpid()] if port in mine] == mine
        assert not set(mine) & set(found.get(1, []))


def test_a_port_that_is_bound_but_not_listened_on_is_none():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        assert it.getsockname()[1] not in ports.ports_of([os.getpid()])[os.getpid()]


def test_a_process_that_is_gone_is_left_out():
    with subprocess.Popen(["true"]) as child:
        child.wait()
        assert ports.ports_of([child.pid]) == {}


def test_whose_a_listener_is_is_told_too():
    with socket.create_server(("127.0.0.1", 0)) as four:
        number = os.fstat(four.fileno()).st_ino
        assert ports.listeners()[number] == (four.getsockname()[1], os.getuid())


def test_the_kernels_refusal_is_unknown(monkeypatch):
    def refuse(_request):
        raise PermissionError(13, "no")

    monkeypatch.setattr(ports, "dump", refuse)  # a kernel without the facility cannot be had here
    assert isinstance(ports.ports_of([os.getpid()]), Unknown)
