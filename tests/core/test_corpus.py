"""Every scene of ``tests/corpus``, and each of its expectations."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.core.guards import GUARDS, SECOND_LOOK
from tests.core.scenes import Scene, SceneError

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = sorted(CORPUS.glob("*.txt"))
VERDICTS = {guard.id for guard in GUARDS} | {"condemned"}
LINES = [(file, expected) for file in FILES for expected in Scene(file.read_text()).expected]


@pytest.mark.parametrize(
    ("file", "expected"), LINES, ids=[f"{file.stem}:{e.line} {e.pid} {e.verdict}" for file, e in LINES]
)
def test_it_is_judged_as_expected(file, expected):
    assert Scene(file.read_text()).verdict(expected.pid) == expected.verdict, expected.reason


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scene_says_what_it_is_about_and_leaves_nobody_out(file):
    text = file.read_text()
    scene = Scene(text)
    assert text.startswith("# ")
    assert [e.verdict for e in scene.expected if e.verdict not in VERDICTS] == []
    asked = [e.pid for e in scene.expected]
    assert len(asked) == len(set(asked))
    owned = {m.id.pid for record in scene.ledger.sessions() for m in scene.ledger.members(record.session.key)}
    assert owned - set(asked) == set()


def test_most_guards_have_a_scene():
    # owned by a living root it would be its own session's, and `owner-alive` speaks; no kernel thread has a parent
    # here, and every birth is seen
    without = {"living-session", "kernel-thread", "inner-session"}
    # what only the second look shows is no part of a tree, but for the names of programs
    named = {"session-keeper", "editor-server", "terminal", "user-service", "build-daemon", "container-runtime"}
    without |= {guard.id for guard in SECOND_LOOK} - named
    without |= {"next-generation", "tracing", "stopped-jobs", "protected"}  # by words or by others
    assert {e.verdict for _, e in LINES} == VERDICTS - without


@pytest.mark.parametrize(
    "line",
    [
        "100 < 1 claude",
        "100",
        "100  exits 0",
        "100 < 1  sh, flies",
        "100 < 1  sh, exits",
        "100 < 1  sh, session boat x",
        "100 < 1  sh  | condemned",
        "100 < 1  sh, stdio somewhere",
    ],
)
def test_a_line_that_is_not_understood_is_told_with_its_number(line):
    with pytest.raises(SceneError, match="line 2:"):
        Scene(f"# A scene.\n{line}\n")


def test_nobody_is_born_twice():
    with pytest.raises(SceneError, match="line 3:"):
        Scene("# A scene.\n100 < 1  sh\n100 < 1  sh\n")
