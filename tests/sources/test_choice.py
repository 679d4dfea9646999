"""Which source serves where."""

from __future__ import annotations

import sys

import pytest

from sentinel.bus import Bus
from sentinel.config import Config, Sources
from sentinel.core.ledger import Ledger
from sentinel.errors import SourceUnavailable
from sentinel.sources import choice

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.mark.parametrize("wish", ["auto", "polling"])
def test_where_the_connector_does_not_serve_or_is_not_wanted_samples_do(wish, monkeypatch):
    def refuses(self):
        raise SourceUnavailable("the kernel is too old")

    monkeypatch.setattr(choice.ProcConnector, "open", refuses)
    source, why = choice.open_source(Config(sources=Sources(processes=wish)), Bus(lambda *_: 0), Ledger())
    assert (source.name, source.sampled) == ("polling", True)
    assert why == ("the kernel is too old" if wish == "auto" else "the configuration asks for it")
    source.close()


def test_where_it_serves_the_connector_does(monkeypatch):
    monkeypatch.setattr(choice.ProcConnector, "open", lambda self: None)
    source, why = choice.open_source(Config(), Bus(lambda *_: 0), Ledger())
    assert (source.name, source.sampled, why) == ("proc connector", False, "")
