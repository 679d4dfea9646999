from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from sentinel.environments import survey
from sentinel.environments.project import known
from sentinel.environments.timelimit import at_most
from sentinel.errors import SentinelError

OTHERWISE = SentinelError("it takes too long")


def test_a_search_that_would_never_end_is_given_up():
    with pytest.raises(SentinelError, match="it takes too long"), at_most(0.05, OTHERWISE):
        re.search("(.*)*(.*)*(.*)*(.*)*X0Y", "a" * 200)


def test_nothing_is_left_of_it():
    before = signal.getsignal(signal.SIGALRM)
    with at_most(60, OTHERWISE):
        pass
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_look_that_takes_its_time_is_not_laid_to_the_patterns(where, tmp_path, monkeypatch):
    Path(tmp_path, "Procfile").write_text("web: sleep 600\n")
    (see, waited) = survey._Surveyor._see, []

    def slowly(*asked):
        if not waited:
            waited.append(time.sleep(1))
        return see(*asked)

    monkeypatch.setattr(survey, "_LONGEST", 0.5)
    monkeypatch.setattr(survey._Surveyor, "_see", slowly)  # what a machine with no breath left does to it
    survey.survey(where, known(str(tmp_path)))
    assert waited
