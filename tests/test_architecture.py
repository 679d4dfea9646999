"""The rules of design and safety that no type checker knows, read from the source itself."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sentinel"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 350

LONGEST_FUNCTION = 40
LONG_FUNCTIONS = {
    "app.py: run": 70,
    "assembly.py: build": 120,
    "cli/agent.py: command": 42,
    "cli/alone.py: clean_up": 45,
    "cli/events.py: command": 43,
    "core/snapshot.py: restore": 44,
    "registry/rebuild.py: mend": 42,
    "registry/store.py: register": 41,
}
"""The functions that are longer, and how long each may be. Nothing may be added and no number may grow."""

SIGNALS = "reaper/signals.py"
SIGNALLING = {"os.kill", "os.killpg", "signal.pidfd_send_signal", "signal.pthread_kill"}
SIGNALLING_METHODS = {"kill", "terminate", "send_signal"}
OWN_CHILDREN = {
    "notify/popup.py": "its own worker process, which has not been reaped",
    "observe/tmux.py": "its own tmux client, which has not been reaped",
}
PROGRAMS = {"kill", "pkill", "killall", "skill", "fuser"}

REMOVING = {
    "os": {"unlink", "remove", "rmdir", "removedirs", "rename", "renames", "replace"},
    "shutil": {"rmtree", "move"},
}
REMOVING_METHODS = {"unlink", "rmdir", "rename"}
REMOVERS = {
    "reaper/copies.py": "the hand",
    "reaper/groups.py": "the hand",
    "reaper/removals.py": "the hand",
    "reaper/recovery.py": "the hand, where it was cut off",
    "reaper/returns.py": "the hand, the other way round",
    "reaper/openat.py": "the hand",
    "reaper/sweeping.py": "the hand",
    "reaper/quarantine.py": "the hand",
    "journalfile.py": "rotates the journal's own files",
    "atomic.py": "replaces Sentinel's own files or the cursor file that the user named; sets damaged ones aside",
    "runs.py": "the marks of its own process",
    "cli/own_group.py": "the control group of its own command",
    "ledgerfile.py": "its own file",
    "sources/inbox.py": "its own socket, under the agent's lock",
    "hook.py": "calls in its own spool, beyond what that may hold",
    "integrations/keepsake.py": "what it has kept",
    "integrations/tmux_everywhere.py": "its own file, which says that the hooks are wanted",
    "integrations/userfile.py": "a file that was not there before, and what it left beside one when it was killed",
    "sources/spool.py": "calls that it has read, and what is none, in its own spool",
    "service/footprint.py": "what its manifest says it wrote and nobody has changed since",
    "registry/logs.py": "the logs of sessions that are over, in a directory of its own",
    "registry/rebuild.py": "sets its own file aside when it is damaged",
    "environments/aside.py": "gives files another name: its own logs, an empty file where a socket belongs",
    "locks/lock.py": "locks of its own form, on proof that their holder is dead",
}

UNTESTED = {
    "__main__.py": "test_hook, and test_imports: what it leads to, and what it does not import on the way",
    "cli/allow.py": "real/test_environment",
    "cli/project_status.py": "real/test_environment and scenarios/test_bulletproofing",
    "cli/projects.py": "real/test_environment",
    "cli/restart.py": "scenarios/test_bulletproofing",
    "cli/start.py": "real/test_environment and scenarios/test_bulletproofing",
    "cli/stop.py": "real/test_environment and scenarios/test_bulletproofing",
    "environments/launch.py": "real/test_environment",
    "environments/scene.py": "test_health",
    "environments/starting.py": "real/test_environment",
    "environments/survey.py": "real/test_environment and scenarios/test_bulletproofing",
    "cli/service.py": "real/test_service",
    "cli/uninstall.py": "real/test_service",
    "doctor/of_service.py": "real/test_service",
    "app.py": "real/test_agent and whatever runs the agent",
    "cli/clean.py": "real/test_clean",
    "cli/doctor.py": "real/test_doctor",
    "__init__.py": "test_registry: it imports on demand",
    "core/guards/around.py": "test_guards: mercy and its loss, guard by guard",
    "core/guards/case.py": "test_guards",
    "core/guards/known.py": "test_guards",
    "core/guards/living.py": "test_guards",
    "core/guards/programs.py": "test_guards",
    "core/guards/whose.py": "test_guards",
    "core/guards/wishes.py": "test_guards",
    "core/members.py": "test_ledger",
    "doctor/findings.py": "real/test_doctor",
    "doctor/leftovers.py": "real/test_clean",
    "doctor/patient.py": "real/test_doctor",
    "doctor/ruins.py": "real/test_clean",
    "doctor/sightings.py": "real/test_clean",
    "cli/keep.py": "test_switching",
    "cli/pause.py": "test_switching",
    "cli/resume.py": "test_switching",
    "handlers/tmux.py": "it only ties together: real/test_tmux_hooks",
    "handlers/exits.py": "a protocol: what keeps it is tested where it is",
    "handlers/pursuit.py": "test_cleanup",
    "handlers/rounds.py": "test_cleanup",
    "integrations/keepsake.py": "test_hookfile",
    "integrations/plan.py": "test_hookfile",
    "integrations/userfile.py": "test_hookfile",
    "journalfile.py": "test_journal",
    "locks/holder.py": "test_lock",
    "narrate/locks.py": "test_told",
    "narrate/registry.py": "test_told",
    "narrate/switches.py": "test_told",
    "narrate/tmux.py": "test_told",
    "narrate/words.py": "test_told",
    "notify/delivery.py": "test_notifier",
    "observe/processes.py": "test_procfs and test_portable: it is the door to both",
    "observe/sock_diag.py": "test_sockets",
    "reaper/copies.py": "test_removals and test_returns",
    "reaper/openat.py": "test_removals",
    "reaper/quarantine.py": "test_removals",
    "reaper/recovery.py": "test_returns and test_sweeping",
    "registry/entries.py": "test_store: what it reads and writes",
    "registry/looks.py": "test_registry",
    "registry/schema.py": "test_store",
    "sources/inotify.py": "test_files",
    "sources/observer.py": "test_files",
}
"""Files that are tested through the one door that leads to them, and which."""


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute) else ""


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def signalling(module: ast.Module) -> set[str]:
    """How a module could signal a process: by function, by a library's object, by a program."""
    found = SIGNALLING & set(imported(module))
    for node in ast.walk(module):
        if dotted(node) in SIGNALLING:
            found.add(dotted(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in SIGNALLING_METHODS and dotted(node.func) not in SIGNALLING:
                found.add(f"{ast.unparse(node.func.value)}.{node.func.attr}()")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = node.value.partition(" ")[0]
            if word.rpartition("/")[2] in PROGRAMS and (word == node.value or " -" in node.value):
                found.add(repr(node.value))
    return found


def removing(module: ast.Module) -> set[str]:
    """How a module could make a file vanish or change its name."""
    known = {f"{library}.{function}" for library, functions in REMOVING.items() for function in functions}
    found = known & set(imported(module))
    for node in ast.walk(module):
        if dotted(node) in known:
            found.add(dotted(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr
            is_path_replace = method == "replace" and len(node.args) == 1 and not node.keywords
            if method in REMOVING_METHODS or is_path_replace:
                found.add(f"{ast.unparse(node.func)}()")
    return found


def test_one_file_signals():
    found = {name(path): signalling(tree(path)) for path in FILES}
    for own in OWN_CHILDREN:
        assert {call.rpartition(".")[2] for call in found.pop(own)} == {"kill()"}
    assert found.pop(SIGNALS) == {"os.kill", "signal.pidfd_send_signal"}
    assert {file: calls for file, calls in found.items() if calls} == {}


def test_a_number_is_signalled_only_where_there_are_no_handles_and_never_a_group():
    module = tree(PACKAGE / SIGNALS)
    last_resort = {
        id(inner)
        for node in ast.walk(module)
        if isinstance(node, ast.If)
        for branch in node.orelse
        for inner in ast.walk(branch)
    }
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and dotted(node.func) == "os.kill"]
    assert calls
    for call in calls:
        assert id(call) in last_resort, f"line {call.lineno}: only where a pidfd cannot be had"
        assert isinstance(call.args[0], ast.Name | ast.Attribute), f"line {call.lineno}: a pid as it was verified"


def test_few_files_remove_and_each_only_its_own():
    found = {name(path): removing(tree(path)) for path in FILES}
    assert {file for file, calls in found.items() if calls} == set(REMOVERS)


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.kill(1, 9)",
        "from os import kill",
        "import os; send = os.killpg",
        "import signal; signal.pidfd_send_signal(3, 9)",
        "import psutil; psutil.Process(1).terminate()",
        "process.send_signal(15)",
        "import subprocess; subprocess.run(['/usr/bin/pkill', '-f', 'x'])",
        "import os; os.system('kill -9 -- -1')",
    ],
)
def test_each_way_to_signal_is_seen(line):
    assert signalling(ast.parse(line))


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.unlink('x')",
        "from shutil import rmtree",
        "import os; f = os.rename",
        "path.unlink()",
        "path.replace(other)",
        "import shutil; shutil.move('a', 'b')",
    ],
)
def test_each_way_to_remove_is_seen(line):
    assert removing(ast.parse(line))


def test_only_one_file_kills_a_control_group():
    assert [name(path) for path in FILES if "cgroup.kill" in path.read_text()] == ["reaper/groups.py"]


@pytest.mark.parametrize("line", ["'a'.replace('b', 'c')", "when.replace(microsecond=0)", "'kill the lights'"])
def test_what_is_harmless_is_not_seen(line):
    assert signalling(ast.parse(line)) | removing(ast.parse(line)) == set()


def test_no_file_became_a_country():
    lengths = {name(path): len(path.read_text().splitlines()) for path in FILES}
    lengths["core/events.py"] -= 8 * (PACKAGE / "core/events.py").read_text().count("(Event):")  # grows by what happens
    assert {file: lines for file, lines in lengths.items() if lines > LONGEST} == {}


def functions(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Every function's name and its lines, from ``def`` to its last one."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_function_is_longer_than_one_can_see_at_once():
    lengths = [(f"{name(path)}: {which}", lines) for path in FILES for which, lines in functions(tree(path))]
    long = {which: lines for which, lines in lengths if lines > LONGEST_FUNCTION}
    grown = {which: lines for which, lines in long.items() if lines > LONG_FUNCTIONS.get(which, LONGEST_FUNCTION)}
    assert not grown, f"longer than {LONGEST_FUNCTION} lines, or than it was: {grown}"
    assert not (short := sorted(set(LONG_FUNCTIONS) - set(long))), f"take out of LONG_FUNCTIONS: {short}"


def has_code(path: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree(path)))


def test_of(path: Path) -> Path:
    """``sentinel/a/b.py`` is tested by ``tests/a/test_b.py``, a package by a file of its name."""
    inside = path.relative_to(PACKAGE)
    stem = path.parent.name if path.stem == "__init__" else path.stem
    return ROOT / "tests" / inside.with_name(f"test_{stem}.py")


test_of.__test__ = False  # type: ignore[attr-defined]  # a question, not a test


def test_every_file_with_code_has_tests_of_its_own():
    without = {name(path) for path in FILES if has_code(path) and not test_of(path).exists()}
    assert not (missing := sorted(without - set(UNTESTED))), f"write their tests, or argue in UNTESTED: {missing}"
    assert not (tested := sorted(set(UNTESTED) - without)), f"they have tests now: take out of UNTESTED: {tested}"


BREAKS = {
    "core is pure": ("core/judge.py", "import time"),
    "imports go one way": ("observe/processes.py", "import sentinel.reaper.signals"),
    "psutil lives": ("handlers/sweep.py", "import psutil"),
    "pyee lives": ("app.py", "import pyee"),
    "plyer lives": ("notify/notifier.py", "import plyer"),
    "watchdog lives": ("app.py", "import watchdog.events"),
    "click lives": ("app.py", "import click"),
    "rich lives": ("app.py", "import rich"),
    "honcho lives": ("app.py", "import honcho"),
    "platformdirs lives": ("journal.py", "import platformdirs"),
}


def lint_imports(where: Path) -> list[str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=where,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(where), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line.removesuffix(" (1 ignored import)") for line in done.stdout.splitlines()]
    return [line for line in lines if line.endswith((" KEPT", " BROKEN"))]


def test_imports_keep_to_their_contracts_and_each_contract_can_be_broken(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "sentinel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    kept = lint_imports(tmp_path)
    assert len(kept) == len(BREAKS)
    assert all(line.endswith(" KEPT") for line in kept), kept
    for file, line in BREAKS.values():
        with open(tmp_path / "sentinel" / file, "a") as source:
            source.write(f"\n{line}\n")
    broken = lint_imports(tmp_path)
    assert all(line.endswith(" BROKEN") for line in broken), broken
    assert [next(key for key in BREAKS if line.startswith(key)) for line in broken] == list(BREAKS)


def test_a_module_outside_of_the_layers_is_noticed(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "sentinel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "sentinel" / "stray.py").write_text("")
    assert [line for line in lint_imports(tmp_path) if line.endswith(" BROKEN")] == ["imports go one way BROKEN"]


def test_no_command_to_tmux_names_a_target():
    """The server of 3.2a crashes on some targets that are gone; who names none cannot meet that."""
    words = {
        (name(path), node.value) for path in FILES for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)
    }
    assert not {where for where, word in words if word == "-t"}
