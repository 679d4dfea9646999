"""A stand-in for the agent's inbox: it keeps what it is asked, and answers as it is told."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading


class StandIn:
    """Listens at ``path`` until it is closed.

    Args:
        path: Its directory is gone to and come back from, since a socket's path is short.
        answer: From the request to the data of the reply, or to an error's sentence (an ``Exception``).
    """

    def __init__(self, path, answer):
        self.asked = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)
            self._listener.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                line = peer.makefile("rb").readline()
                self.asked.append(json.loads(line))
                answer = self._answer(self.asked[-1])
                if answer is not None:
                    peer.sendall(_reply(answer) + b"\n")

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def _reply(answer):
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, Exception):
        return json.dumps({"ok": False, "error": str(answer)}).encode()
    return json.dumps({"ok": True, "data": answer}).encode()
