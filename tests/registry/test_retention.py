"""What is forgotten of sessions that are over."""

from __future__ import annotations

import os
import sys

import pytest

from sentinel.config import Registry as Wishes
from sentinel.registry import logs, retention
from sentinel.registry.registry import Registry
from sentinel.registry.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


def test_ended_sessions_go_after_a_day_and_their_logs_after_a_week(where, sleeper):
    with Registry(where, record=lambda _: None, tell=lambda _: None) as registry:
        alive, over = registry.register("alive"), registry.register("over", pid=sleeper().pid)
        registry.end("over")
        registry.logs.mkdir()
        for entry in (alive, over):
            path = logs.path_of(registry.logs, entry)
            path.touch()
            os.utime(path, (0, 0))
        assert retention.prune(registry, Wishes(keep_logs=366 * 200 / 20)) == (0, 1)
        with Store(where.registry) as store:
            store.entries("1")
            store._connection.execute("UPDATE sessions SET ended = ended - 25 * 3600 WHERE status = 'ended'")
        assert retention.prune(registry, Wishes(keep_ended=26)) == (0, 0)
        assert retention.prune(registry, Wishes()) == (1, 0)
        assert [entry.id for entry in registry.sessions(ended=True)] == ["alive"]
        assert os.listdir(registry.logs) == [logs.path_of(registry.logs, alive).name]
