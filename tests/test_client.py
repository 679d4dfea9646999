"""The command line's side of the inbox, against agents that behave in every way."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentinel import client, wire
from sentinel.errors import NotRunning, SentinelError


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """Stands in for an agent: answers one peer with what it is given. Returns its socket."""
    monkeypatch.chdir(tmp_path)  # a path of tmp_path may be too long for a socket
    with contextlib.ExitStack() as stack:

        def agent(*pieces, hold=0.0):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind("inbox.sock")
            listener.listen()
            asked = []

            def serve():
                peer, _ = listener.accept()
                with peer:
                    asked.append(peer.recv(wire.LIMIT))
                    with contextlib.suppress(OSError):
                        for piece in pieces:
                            peer.sendall(piece)
                        done.wait(hold)

            done = threading.Event()
            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            stack.callback(done.set)
            return asked

        yield agent


def ask(patience=5.0, request=None):
    return client.ask(Path("inbox.sock"), request or wire.Status(), patience)


def test_the_data_of_the_answer_comes_back(agent):
    asked = agent(b'{"ok":true,"data":{"version":"1"}}\n')
    assert ask() == {"version": "1"}
    assert asked == [b'{"ask":"status"}\n']


@pytest.fixture
def crowd(tmp_path, monkeypatch):
    """Stands in for an agent whose peers come one after the other: each gets the next answer."""
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:

        def crowd(*answers):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind("inbox.sock")
            listener.listen()

            def serve():
                for answer in answers:
                    peer, _ = listener.accept()
                    with peer:
                        peer.recv(wire.LIMIT)
                        peer.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)

        yield crowd


BUSY = b'{"ok":false,"error":"more than 32 speak at once","busy":true}\n'


def test_one_that_has_too_many_to_answer_is_asked_again(crowd):
    crowd(BUSY, BUSY, b'{"ok":true,"data":1}\n')
    assert ask() == 1


def test_one_that_is_busy_to_the_end_of_our_patience_has_refused(crowd, monkeypatch):
    crowd(BUSY)
    clock = iter((0.0, 9.0))
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(SentinelError, match="more than 32 speak at once"):
        ask()


def test_an_answer_in_pieces_is_one_answer(agent):
    agent(b'{"ok":true,', b'"data":"' + b"x" * 200_000, b'"}\n')
    assert ask() == "x" * 200_000


def test_a_refusal_is_its_sentence(agent):
    agent(b'{"ok":false,"error":"no living session is called x"}\n')
    with pytest.raises(SentinelError, match="no living session is called x"):
        ask()


@pytest.mark.parametrize("answer", [b"", b"\n", b"{}\n", b"nonsense\n", b'{"ok":true', b"\xff\n"])
def test_an_answer_that_is_none_is_said_to_be(agent, answer):
    agent(answer)
    with pytest.raises(SentinelError, match="cannot be read"):
        ask()


def test_nobody_there_is_not_running(tmp_path):
    with pytest.raises(NotRunning, match=r"^no agent answers$"):
        client.ask(tmp_path / "x", wire.Status())


def test_a_socket_that_nobody_listens_on_is_not_running(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("inbox.sock")
    with pytest.raises(NotRunning, match=r"^no agent answers$"):
        ask()


def test_one_that_hangs_is_waited_for_in_vain_but_not_long(agent):
    agent(hold=30.0)
    with pytest.raises(NotRunning, match=r"did not answer within 0\.2 s"):
        ask(patience=0.2)


def test_a_path_too_long_for_a_socket_is_not_running(tmp_path):
    with pytest.raises(NotRunning, match="path too long"):
        client.ask(tmp_path / ("x" * 200), wire.Status())


def test_one_that_refuses_before_it_has_heard_the_question_is_heard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("inbox.sock")
        listener.listen()

        def refuse():
            peer, _ = listener.accept()
            peer.sendall(b'{"ok":false,"error":"more than 32 speak at once"}\n')
            peer.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        connect = socket.socket.connect

        def slowly(self, address):
            connect(self, address)
            thread.join()

        monkeypatch.setattr(socket.socket, "connect", slowly)
        with pytest.raises(SentinelError, match="more than 32"):
            ask()
