"""The hunter itself: it makes the mutants that it should, and notices one that lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants
from tests.mutation.run import ROOT

SAMPLES = [
    ("a == 1", ["return a == 1 -> return None", "a == 1 -> a != 1", "1 -> 2"]),
    ("a < b", ["return a < b -> return None", "a < b -> a <= b", "a < b -> a >= b"]),
    ("a is not b", ["return a is not b -> return None", "a is not b -> a is b"]),
    ("a and b", ["return a and b -> return None", "a and b -> a or b", "a and b -> b", "a and b -> a"]),
    ("not a", ["return not a -> return None", "not a -> a"]),
    ("a - b", ["return a - b -> return None", "a - b -> a + b"]),
    ("True", ["True -> False"]),
    ("f'{a:02}'", ["return f'{a:02}' -> return None"]),
    ("{a, b}", ["return {a, b} -> return None", "{a, b} -> {b}", "{a, b} -> {a}"]),
    ("[a for a in b if a]", ["return [a for a in b if a] -> return None", "for a in b if a -> for a in b"]),
]


@pytest.mark.parametrize(("expression", "expected"), SAMPLES, ids=[expression for expression, _ in SAMPLES])
def test_each_small_wrong_is_made(expression, expected):
    made = list(mutants(f"def f(a, b):\n    '''What it does.'''\n    return {expression}\n"))
    assert [" ".join(mutant.what.split()) for mutant in made] == expected
    assert {mutant.where for mutant in made} == {"f"}


def test_statements_are_left_out_and_conditions_turned_round():
    source = "class C:\n    def f(self, a=0):\n        if a:\n            g()\n        self.b = a\n        return\n"
    assert [mutant.what for mutant in mutants(source)] == [
        "0 -> 1",
        "if a: g() -> if not a: g()",
        "if a: g() -> pass",
        "g() -> pass",
        "self.b = a -> pass",
    ]


def test_what_a_module_level_name_stands_for_is_mutated_and_its_words_are_not():
    made = list(mutants("'''Words.'''\nLIMIT = 2.0\nNAMES = frozenset({'a', 'b'})\nTITLE = 'a'\n"))
    assert [(mutant.where, mutant.what, mutant.constant) for mutant in made] == [
        ("LIMIT", "2.0 -> 3.0", True),
        ("NAMES", "{'a', 'b'} -> {'b'}", True),
        ("NAMES", "{'a', 'b'} -> {'a'}", True),
    ]


WEAK = """
from sentinel.core.plan import plan_processes
from sentinel.core.policy import Policy
from tests.core.cases import session

def test_weakly():
    assert plan_processes(session(), [], Policy()) is None
"""
HUNT = """
from pathlib import Path
from tests.mutation.run import CORE, hunt

excused = {
    "plan_processes: not condemned -> condemned": "it dies",
    "deepest_first: -depth(v.id.pid) -> depth(v.id.pid)": "it is excused",
}
count, survivors = hunt(CORE / "plan.py", [Path("WEAK")], excused)
print(count, *survivors, sep="\\n")
"""


def test_a_mutant_of_which_no_test_dies_is_told_unless_it_is_excused_and_who_dies_needs_no_excuse(tmp_path: Path):
    weak = tmp_path / "test_weak.py"
    weak.write_text(WEAK)
    command = [sys.executable, "-c", HUNT.replace("WEAK", str(weak))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    count, *survivors = done.stdout.splitlines()
    assert int(count) > len(survivors) > 5
    told = " / ".join(survivors)
    assert "equivalent.toml: no such survivor in plan.py: plan_processes: not condemned -> condemned" in told
    assert "deepest_first: -depth(v.id.pid) -> depth(v.id.pid)" not in told
    assert "sentinel/core/plan.py:" in told
    assert "plan_processes: if not condemned" not in told  # of this one the test dies
