"""``make mutants``: whether a test dies of each small wrong in what decides.

Each mutant lives in a process forked from one that has everything imported and collected,
so that it costs only the tests up to the first that fails.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import math
import os
import resource
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.swap import put_in_place

ROOT = Path(__file__).parents[2]
CORE = ROOT / "sentinel" / "core"
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
_CPU, _TIMES = 2, 3
"""Seconds of computing, and times those of the tests themselves, after which a mutant that does
not come to an end counts as dead."""
_GUARDS = ("core/test_guards.py", "core/test_guard_edges.py", "core/test_judge.py", "core/test_corpus.py")
_LEDGER = ("core/test_ledger.py", "core/test_snapshot.py", "core/test_ledger_model.py")
TESTS = {
    **{f"guards/{name}.py": _GUARDS for name in ("around", "case", "known", "living", "whose", "wishes")},
    "guards/programs.py": ("core/test_guards.py", "core/test_guard_edges.py"),
    "judge.py": ("core/test_judge.py", *_GUARDS, "core/test_consent.py"),
    "consent.py": ("core/test_consent.py", "core/test_guard_edges.py"),
    "candidates.py": ("core/test_candidates.py",),
    "policy.py": ("core/test_policy.py",),
    "plan.py": ("core/test_plan.py",),
    "budget.py": ("core/test_budget.py",),
    "supervision.py": ("core/test_supervision.py",),
    "snapshot.py": ("core/test_snapshot.py",),
    **dict.fromkeys(("ledger.py", "members.py"), _LEDGER),
}
"""Which tests a module of the core answers to; those of each rule have its name."""


def targets() -> Iterator[tuple[Path, list[Path]]]:
    """The modules that decide, and their tests."""
    for module, tests in TESTS.items():
        yield CORE / module, [ROOT / "tests" / test for test in dict.fromkeys(tests)]
    for rule in sorted((CORE / "rules").glob("[a-z]*.py")):
        yield rule, [ROOT / "tests/core/rules" / f"test_{rule.name}"]


class Hunt:
    """A plugin that runs the collected tests once for each mutant, in a process of its own."""

    def __init__(self, module: Path, equivalent: dict[str, str]) -> None:
        self.module = module
        self.equivalent = equivalent
        self.survivors: list[str] = []
        self.count = 0
        self._took: dict[str, float] = {}
        """Seconds for which each test runs, by its id."""

    def pytest_configure(self) -> None:
        """Hypothesis remembers nothing of mutants and makes nothing of theirs small; it is here by now."""
        from hypothesis import Phase, settings

        settings.register_profile("mutants", database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if _fails(session, self._took):
            return True
        session.items.sort(key=lambda item: self._took[item.nodeid])  # most die of the first few
        gc.freeze()
        unused = dict(self.equivalent)
        for mutant in mutants(self.module.read_text()):
            self.count += 1
            called = f"{mutant.where}: {mutant.what}"
            if self._dies(session, mutant):
                continue
            unused.pop(called, None)
            if called not in self.equivalent:
                self.survivors.append(f"{self.module.relative_to(ROOT)}:{mutant.line}: {called}")
        self.survivors += [f"{EQUIVALENT.name}: no such survivor in {self.module.name}: {name}" for name in unused]
        return True

    def _dies(self, session: pytest.Session, mutant: Mutant) -> bool:
        """Whether a test fails of it, or it does not even come to an end."""
        limit = _CPU + _TIMES * math.ceil(sum(self._took.values()))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                put_in_place(importlib.import_module(_name(self.module)), mutant)
                status = int(_fails(session, {}))
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def _fails(session: pytest.Session, took: dict[str, float]) -> bool:
    """Run the tests up to the first that fails."""
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        began = time.monotonic()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        took[item.nodeid] = time.monotonic() - began
        if session.testsfailed:
            return True
    return False


def _name(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts)


def hunt(module: Path, tests: list[Path], equivalent: dict[str, str]) -> tuple[int, list[str]]:
    """How many mutants a module has, and those of which no test dies."""
    found = Hunt(module, equivalent)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(
            ["-q", "--tb=no", "--timeout=0", "-p", "no:cacheprovider", *map(str, tests)], plugins=[found]
        )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        found.survivors.append(f"{_name(module)}: its tests do not run\n{said.getvalue()}")
    return found.count, found.survivors


def main(only: list[str]) -> int:
    """Hunt in all modules that decide, or in those whose path ends so; 1 when a mutant survives."""
    equivalent = tomllib.loads(EQUIVALENT.read_text())
    total, survivors = 0, []
    for module, tests in targets():
        if only and not str(module).endswith(tuple(only)):
            continue
        name = str(module.relative_to(CORE))
        count, alive = hunt(module, tests, equivalent.get(name, {}))
        total += count
        survivors += alive
        print(f"{name:24} {count:5} mutants, {len(alive):3} survive", flush=True)  # noqa: T201 - what it is run for
    excused = sum(map(len, equivalent.values()))
    print(f"{total} mutants, {len(survivors)} survive, {excused} change nothing ({EQUIVALENT.name})")  # noqa: T201 - as above
    print(*survivors, sep="\n")  # noqa: T201 - as above
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
