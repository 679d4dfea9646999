"""Every scene of ``tests/corpus``, and each of its expectations."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.core.guards import GUARDS
from tests.core.scenes import Scene, SceneError

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = sorted(CORPUS.glob("*.txt"))
LEAST_SPARED = 3
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


@pytest.mark.parametrize("guard", [guard.id for guard in GUARDS])
def test_a_guard_has_three_it_spares_and_one_beside_them_that_is_condemned(guard):
    files = {file for file, expected in LINES if expected.verdict == guard}
    assert sum(expected.verdict == guard for _, expected in LINES) >= LEAST_SPARED
    assert any(expected.verdict == "condemned" for file, expected in LINES if file in files)


@pytest.mark.parametrize("guard", [guard.id for guard in GUARDS])
def test_with_its_guard_taken_out_one_that_it_spares_is_condemned(guard):
    # One is enough: a few of them are spared by a second guard as well, as a tmux server that daemonised itself is.
    spared = [(file, expected.pid) for file, expected in LINES if expected.verdict == guard]
    assert "condemned" in {Scene(file.read_text()).verdict(pid, without=guard) for file, pid in spared}


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
        "100 < 1  sh, scope of 99",
        "100 < 1  sh, session agent x, scope of 100",
        "100 < 1  sh, named by 99",
        "100 < 1  sh, kept",
        "100 < 1  sh, traced 100",
        "protect.programs vim",
    ],
)
def test_a_line_that_is_not_understood_is_told_with_its_number(line):
    with pytest.raises(SceneError, match="line 2:"):
        Scene(f"# A scene.\n{line}\n")


def test_nobody_is_born_twice():
    with pytest.raises(SceneError, match="line 3:"):
        Scene("# A scene.\n100 < 1  sh\n100 < 1  sh\n")
