"""Locks of a project, under the real agent: who dies leaves none, and who lives keeps his."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.lab.stage import interpreter, until

pytestmark = pytest.mark.real

MAKERS = {
    "tmp/pids/server.pid": "echo $$ > {}",
    "deploy.lock": "mkdir {0} && echo $$ > {0}/pid",
    "run/SingletonLock": "ln -s $(hostname)-$$ {}",
}


@pytest.fixture
def source():
    """Pidfds tell of holders, whatever tells of births."""
    return "connector"


@pytest.fixture
def shop(stage):
    """A project with a session in it, and the agent."""
    stage.run("mkdir", "-p", "shop/tmp/pids", "shop/.git", "shop/run", "shop/src")
    stage.configure(f'[locks]\nwatch = ["{stage.home}/shop/run/*"]\n')
    stage.agent()
    words = [*interpreter(), "run", "--name", "api", "--", "sleep", "600"]
    stage.start("env", "-C", f"{stage.home}/shop/src", *words)
    stage.watched("api")
    return stage.home / "shop"


def holders(stage, shop):
    """One of each kind, by the name of the lock, each in a shell of its own."""
    started = {}
    for number, (name, words) in enumerate(MAKERS.items()):
        script = f"cd {shop} && {words.format(name)} && echo $$ > {stage.home}/pid-{number} && exec sleep 600"
        stage.start("sh", "-c", script)
        started[name] = stage.pid(f"pid-{number}")
    return started


def there(path):
    return path.exists() or path.is_symlink()


def test_the_locks_of_the_dead_go_and_undo_brings_one_back_for_good(stage, shop):
    pids = holders(stage, shop)
    time.sleep(2.1)  # they are fresh no more
    living = "deploy.lock"
    for name, pid in pids.items():
        if name != living:
            stage.kill(pid)
    removed = until(lambda: len(found := stage.journal("lock.removed")) == 2 and found, "two locks being removed")
    assert {record["data"]["outcome"]["result"] for record in removed} == {"removed"}
    assert all(record["data"]["duration"] < 5 for record in removed)
    assert {name for name in MAKERS if there(shop / name)} == {living}

    back = stage.sentinel("undo", str(shop / "tmp/pids/server.pid"))
    assert back.stdout == f"{shop / 'tmp/pids/server.pid'} is there again.\n"
    time.sleep(1.0)
    assert (shop / "tmp/pids/server.pid").read_text() == f"{pids['tmp/pids/server.pid']}\n"
    shown = json.loads(stage.sentinel("undo", "--list", "--json").stdout)
    assert [entry["path"] for entry in shown] == [f"{shop}/run/SingletonLock"]

    stage.kill(pids[living])
    until(lambda: not there(shop / living), "the last one being removed")
    assert stage.journal("handler.failed") == []


def test_the_index_lock_of_a_git_that_was_killed_goes(stage, shop):
    hook = "#!/bin/sh\necho $PPID > $HOME/git\nexec sleep 600\n"
    stage.run("git", "init", "-q", str(shop))
    stage.file("shop/.git/hooks/pre-commit", hook, 0o755)
    stage.file("shop/new", "new\n")
    stage.run("git", "-C", str(shop), "add", "new")
    who = ("-c", "user.name=lab", "-c", "user.email=lab@localhost")
    stage.start("env", "-C", str(shop), "git", *who, "commit", "-qam", "new")
    pid = stage.pid("git")
    assert (shop / ".git/index.lock").exists()
    time.sleep(2.1)  # it is fresh no more
    assert stage.journal("lock.removed") == []
    stage.kill(pid)
    (removed,) = until(lambda: stage.journal("lock.removed"), "the lock's end")
    assert removed["data"]["outcome"]["result"] == "removed"
    assert not (shop / ".git/index.lock").exists()


def test_mercy_gits_lock_stays_while_git_is_at_work_and_what_the_kernel_locks_stays_for_ever(stage, shop):
    stage.run("mkdir", "-p", "shop/.next/dev")
    stage.configure(f'[locks]\nwatch = ["{shop}/.next/dev/lock"]\n')
    stage.kill(json.loads(stage.sentinel("status", "--json").stdout)["pid"], signal.SIGHUP)
    until(lambda: stage.journal("config.read"), "its being read again")
    condemned = shop / "tmp/pids/server.pid"
    script = f"cd {shop} && echo $$ > .next/dev/lock && echo $$ > {condemned} && exec sleep 600 > .git/index.lock"
    stage.start("sh", "-c", script)
    pid = stage.pid(condemned)
    time.sleep(2.1)
    stage.kill(pid)
    until(lambda: not condemned.exists(), "its own lock being removed")
    time.sleep(1.0)
    assert (shop / ".git/index.lock").exists()  # no git was seen to hold it
    assert (shop / ".next/dev/lock").exists()
    assert len(stage.journal("lock.removed")) == 1
