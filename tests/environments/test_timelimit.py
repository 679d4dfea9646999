from __future__ import annotations

import re
import signal
import time

import pytest

from sentinel.environments.timelimit import at_most
from sentinel.errors import SentinelError

OTHERWISE = SentinelError("it takes too long")


def test_a_search_that_would_never_end_is_given_up():
    with pytest.raises(SentinelError, match="it takes too long"), at_most(0.05, OTHERWISE):
        re.search("(.*)*(.*)*(.*)*(.*)*X0Y", "a" * 200)


def test_nothing_is_left_of_it():
    before = signal.getsignal(signal.SIGALRM)
    with at_most(0.02, OTHERWISE):
        pass
    assert signal.getsignal(signal.SIGALRM) == before
    time.sleep(0.03)
