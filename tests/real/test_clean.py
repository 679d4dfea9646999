"""`sentinel clean` on real processes that dead agents left while nobody watched."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.handlers.room import becomes
from tests.lab.stage import HERE, alive, interpreter, until
from tests.real.conftest import settled

pytestmark = pytest.mark.real

FOR_EVER = "exec sleep 1000"


class Wreck:
    """What is left of agents: real processes, whose environments say whose they were."""

    def __init__(self, stage):
        self.stage = stage

    def left_by_an_agent(self, *names, script=FOR_EVER, marks="export CLAUDE_PID=$$", program="sleep"):
        """Processes that a shell bore in the agent's place and that lived on when it was killed.

        Each has become this program: what it exports is not in its own environment before.
        """
        jobs = "".join(f"(echo $BASHPID > {name}.tmp; mv {name}.tmp {name}; {script}) & " for name in names)
        agent = self.stage.start("bash", "-c", f"{marks}; {jobs} wait")
        pids = [self.stage.pid(name) for name in names]
        self.stage.kill(agent.pid)
        until(lambda: not alive(agent.pid), "its end")
        agent.wait()
        for pid in pids:
            becomes(pid, program)
        return pids

    def clean(self, *words, **environ):
        done = self.stage.sentinel("clean", *words, **environ)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def found(self, *words):
        """What is shown, by pid."""
        done = self.clean("--json", *words)
        return {one["pid"]: one for one in json.loads(done.stdout)["candidates"]}


@pytest.fixture
def wreck(stage):
    return Wreck(stage)


def ended(*pids):
    until(lambda: not any(map(alive, pids)), f"the end of {pids}")


def test_what_two_witnesses_prove_is_ended_on_a_yes_and_nobody_else(stage, wreck):
    first, second = wreck.left_by_an_agent("first", "second")
    (unmarked,) = wreck.left_by_an_agent("unmarked", marks="true")
    (nohup,) = wreck.left_by_an_agent("nohup", script="exec nohup sleep 1000")
    (kept,) = wreck.left_by_an_agent("kept", script="export SENTINEL_KEEP=1; exec sleep 1000")
    living = stage.start(
        "bash", "-c", f"export CLAUDE_PID=$$; (setsid bash -c 'echo $$ > of; {FOR_EVER}' &); exec sleep 1000"
    )
    of_the_living = stage.pid("of")
    shown = wreck.found()
    assert {pid for pid, one in shown.items() if one["offered"]} == {first, second}
    assert shown[first]["grade"] == "strong"
    assert (shown[nohup]["guard"], shown[kept]["guard"]) == ("nohup", "kept")
    assert "which lives" in shown[of_the_living]["why_not"]
    assert unmarked not in shown
    done = wreck.clean("--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 things: 2 ended." in done.stdout
    ended(first, second)
    assert all(map(alive, (unmarked, nohup, kept, living.pid, of_the_living)))
    (record,) = stage.journal("cleanup.done")
    assert {outcome["result"] for outcome in record["data"]["outcomes"]} == {"ended"}
    (intent,) = stage.journal("action.intended")
    assert {target["grade"] for target in intent["data"]["targets"]} == {"strong"}


def test_without_a_yes_nothing_is_changed(stage, wreck):
    (lost,) = wreck.left_by_an_agent("lost")
    asked = wreck.clean()
    assert (asked.returncode, "say --yes" in asked.stderr) == (1, True)
    assert "CLAUDE_PID in its environment names claude" in asked.stdout
    dry = wreck.clean("--dry-run", "--yes")
    assert (dry.returncode, f" {lost} " in dry.stdout) == (0, True)
    assert wreck.clean("--json").returncode == 1
    assert alive(lost)
    assert stage.journal() == []


def test_who_kept_to_themselves_a_terminal_are_asked_and_only_those_shown_are_ended(stage, wreck, terminal):
    (shown,) = wreck.left_by_an_agent("shown")
    screen = terminal(*on_stage(stage, *interpreter(), "clean"))
    screen.shows("End or remove 1 thing?")
    (later,) = wreck.left_by_an_agent("later")
    screen.type("y\n")
    screen.shows("1 thing: 1 ended.")
    ended(shown)
    assert alive(later)


def test_a_no_is_a_no(stage, wreck, terminal):
    (lost,) = wreck.left_by_an_agent("lost")
    screen = terminal(*on_stage(stage, *interpreter(), "clean"))
    screen.shows("End or remove 1 thing?")
    screen.type("\n")
    screen.shows("Nothing was changed.")
    assert screen.process.wait(20) == 1
    assert alive(lost)


def on_stage(stage, *words):
    """The words that run something on the stage, without those that become its user."""
    return ["env", "-C", str(stage.home), *(f"{name}={value}" for name, value in stage.environ.items()), *words]


def test_weak_ones_are_ended_only_by_number_or_by_an_old_pattern(stage, wreck):
    weak, other = wreck.left_by_an_agent("weak", "other", marks="export CODEX_THREAD_ID=t1")
    assert wreck.found()[weak]["grade"] == "weak"
    assert wreck.clean("--yes").returncode == 0
    assert all(map(alive, (weak, other)))
    assert wreck.clean("--pattern", "sleep").returncode == 2
    assert wreck.clean("--yes", "--pattern", "sleep", "--older-than", "1h").returncode == 0
    assert all(map(alive, (weak, other)))
    assert wreck.clean("--yes", str(weak)).returncode == 0
    ended(weak)
    assert alive(other)
    until(lambda: other in wreck.found("--pattern", "^sleep 1000$", "--older-than", "1s"), "its age")
    assert wreck.clean("--yes", "--pattern", "^sleep 1000$", "--older-than", "1s").returncode == 0
    ended(other)


def test_a_pattern_offers_nobody_of_whom_something_says_that_he_is_at_work(stage, wreck):
    living = stage.start(
        "bash", "-c", f"export CLAUDE_PID=$$; (setsid bash -c 'echo $$ > of; {FOR_EVER}' &); exec sleep 1000"
    )
    pid = stage.pid("of")
    until(lambda: pid in wreck.found("--pattern", "sleep", "--older-than", "1s"), "its age")
    assert wreck.clean("--yes", "--pattern", "sleep", "--older-than", "1s").returncode == 0
    assert alive(pid)
    assert alive(living.pid)


def test_who_is_named_goes_with_all_that_it_bore_but_not_when_its_parent_lives(stage, wreck):
    script = "bash -c 'echo $$ > below; exec sleep 1000' & exec nohup sleep 1000"
    (top,) = wreck.left_by_an_agent("top", script=script, marks="true")
    below = stage.pid("below")
    refused = wreck.clean("--yes", str(below))
    assert refused.returncode == 1
    assert f"its parent, process {top}, lives" in refused.stdout
    assert f"may not be ended. Why: sentinel explain {below} --why-not" in refused.stdout
    assert wreck.clean("--dry-run", str(below)).returncode == 0
    done = wreck.clean("--yes", str(top))
    assert done.returncode == 0, done.stdout
    ended(top, below)
    assert wreck.clean("--yes", str(top)).returncode == 1


@pytest.mark.parametrize("source", ["connector"], indirect=True)
def test_it_lists_neither_itself_nor_what_it_runs_under(stage, wreck):
    """In a shell that an agent has left, so that all that it bears has the marks of that."""
    (left,) = wreck.left_by_an_agent("left")
    clean = f"{' '.join(interpreter())} clean --dry-run $(cat shell left) >out | cat"
    script = f"until test -e go; do sleep 0.1; done; {clean}; touch done; exec sleep 1000"
    (shell,) = wreck.left_by_an_agent("shell", script=script, program="bash")
    stage.file("go")
    until((stage.home / "done").exists, "its end")
    out = (stage.home / "out").read_text()
    assert [line.split()[0] for line in out.splitlines() if line.lstrip()[:1].isdigit()] == [str(left)], out
    assert f"This command runs under process {shell}, which stays with all that is part of it.\n" in out


def test_what_is_on_the_list_of_the_kept_stays_with_all_that_it_bears_whoever_is_named(stage, wreck):
    (top,) = wreck.left_by_an_agent("top", script="bash -c 'echo $$ > below; exec sleep 1000' & exec sleep 1000")
    below = stage.pid("below")
    assert stage.sentinel("keep", str(top)).returncode == 0
    assert wreck.found()[top]["guard"] == "kept"
    for words in ((str(top),), (str(below),), ()):
        assert " 1 ended" not in wreck.clean("--yes", *words).stdout
    assert alive(top)
    assert alive(below)
    assert stage.sentinel("keep", "--off", str(top)).returncode == 0
    wreck.clean("--yes", str(top))
    ended(top, below)


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # what is saved is the same
def test_a_wish_counts_before_the_agent_has_saved_it(stage, wreck):
    stage.agent()
    job = "nohup sleep 1000 > /dev/null 2>&1 < /dev/null & echo $! > left.tmp; mv left.tmp left; exec sleep 1000"
    wrapper = stage.start_run("api", job)
    (left,) = settled(stage, "left", session="api")
    stage.kill(wrapper.pid)
    until(lambda: wreck.found(str(left)).get(left, {}).get("grade") == "proven", "the saved ledger")
    assert stage.sentinel("keep", str(left)).returncode == 0
    assert wreck.found(str(left))[left]["guard"] == "kept"
    assert " 1 ended" not in wreck.clean("--yes", str(left)).stdout
    assert alive(left)


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # what is saved is the same
def test_mercy_what_a_living_session_bore_is_spared_though_it_lost_its_parent_and_was_named(stage, wreck):
    program = stage.file("bin/claude")
    shutil.copy("/bin/bash", program)
    program.chmod(0o755)
    stage.agent()
    agent = stage.start(str(program), "-c", "(sleep 1000 & echo $! > left.tmp; mv left.tmp left); sleep 1000; true")
    (left,) = settled(stage, "left", session="claude")
    until(lambda: wreck.found(str(left))[left]["guard"] == "reserve", "the saved ledger")
    spared = wreck.clean("--yes", str(left))
    assert (spared.returncode, alive(left)) == (1, True)
    assert "it is of claude" in spared.stdout
    stage.kill(agent.pid)
    ended(left)


def test_nothing_is_ended_while_paused_or_observing(stage, wreck):
    (lost,) = wreck.left_by_an_agent("lost")
    assert stage.sentinel("pause").returncode == 0
    paused = wreck.clean("--yes")
    assert (paused.returncode, "nothing is ended" in paused.stderr) == (1, True)
    assert stage.sentinel("resume").returncode == 0
    stage.configure('mode = "observe"\n')
    observing = wreck.clean("--yes")
    assert (observing.returncode, "observe" in observing.stderr) == (1, True)
    assert alive(lost)


def test_aggressive_is_a_shorter_grace(stage, wreck):
    stage.configure("[policy.run]\ngrace = 30.0\n")
    script = "exec bash -c \"trap '' TERM; sleep 1000 & : > is-deaf; while :; do wait; done\""
    (deaf,) = wreck.left_by_an_agent("deaf", script=script, program="bash")
    until((stage.home / "is-deaf").exists, "its trap")
    done = wreck.clean("--yes", "--level", "aggressive")
    assert done.returncode == 0, done.stdout
    assert "2 killed" in done.stdout  # it, and what it waits for
    ended(deaf)


def test_tmux_servers_and_what_runs_in_them_are_nobodys_leftovers(stage, wreck):
    """A server inherits its agent's marks, and hands them to all its panes."""
    socket_path = stage.home / "mine.sock"
    tmux = f"tmux -S {socket_path} -f /dev/null new-session -d -s work 'echo $$ > pane; exec sleep 1000'"
    wreck.left_by_an_agent("lost", script=f"{tmux}; {FOR_EVER}")
    pane = stage.pid("pane")
    shown = wreck.found()
    assert pane not in shown
    assert wreck.clean("--yes").returncode == 0
    assert alive(pane)
    assert "lives: it was not left behind" in wreck.found(str(pane))[pane]["why_not"]
    assert wreck.clean("--yes", str(pane)).returncode == 1
    assert alive(pane)


def test_what_a_dead_session_left_and_was_only_reported_is_proven(stage, wreck):
    stage.configure('[policy.run]\nsurvivors = "report"\n')
    agent = stage.agent()
    run = stage.start_run("api", f"(echo $BASHPID > job; {FOR_EVER}) & sleep 1000")
    (job,) = settled(stage, "job")
    stage.kill(run.pid)
    stage.record("session.judged", "api")
    stage.kill(agent.pid, signal.SIGTERM)
    agent.wait()
    shown = wreck.found()
    assert (shown[job]["grade"], shown[job]["offered"]) == ("proven", True)
    assert wreck.clean("--yes").returncode == 0
    ended(job)


def test_dead_sockets_go_and_living_ones_stay(stage, wreck):
    folder = stage.tmp / f"tmux-{stage.uid}"
    script = f"""
import os, socket, sys, time
os.makedirs({str(folder)!r}, 0o700, exist_ok=True)
kept = []
for path, stays in (({str(folder / "dead")!r}, False), ({str(folder / "alive")!r}, True), (".overmind.sock", False)):
    one = socket.socket(socket.AF_UNIX); one.bind(path); one.listen()
    kept.append(one) if stays else one.close()
for path in ({str(folder / "dead")!r}, ".overmind.sock"):
    os.utime(path, (1, 1))
os.utime({str(folder / "alive")!r}, (1, 1))
open("bound", "w").write(str(os.getpid()))
time.sleep(1000)
"""
    stage.start("python3", "-c", script)
    stage.pid("bound")
    listed = json.loads(wreck.clean("--json").stdout)["sockets"]
    assert sorted(listed) == [str(stage.home / ".overmind.sock"), str(folder / "dead")]
    done = wreck.clean("--yes")
    assert (done.returncode, "2 removed" in done.stdout) == (0, True)
    assert [path.name for path in folder.iterdir()] == ["alive"]
    assert not (stage.home / ".overmind.sock").exists()


def test_a_project_and_an_age_narrow_what_is_offered(stage, wreck):
    (here,) = wreck.left_by_an_agent("here")
    stage.file("shop/x")
    (there,) = wreck.left_by_an_agent("there", script="cd shop; exec sleep 1000")
    assert set(wreck.found("--project", str(stage.home / "shop"))) == {there}
    assert set(wreck.found("--project", str(stage.home))) == {here, there}
    assert wreck.found("--older-than", "1h") == {}
    assert wreck.clean("--project", "nowhere").returncode == 2
    assert wreck.clean("--older-than", "soon").returncode == 2
    assert wreck.clean("--pattern", "(", "--older-than", "1h").returncode == 2
    assert wreck.clean(str(here), "--older-than", "1h").returncode == 2


# -- an Overmind that was killed before anybody watched -------------------------------------


@pytest.fixture
def ruin(stage):
    """An Overmind's server and what runs in it, of an Overmind that was killed; its pids."""
    program = stage.file("bin/overmind", (HERE / "standin" / "overmind").read_text(), 0o755)
    stage.file("shop/Procfile", "web: exec sleep 1001\nown: setsid sleep 1002 & exec sleep 1003\n")
    overmind = stage.start("env", "-C", stage.home / "shop", program, "start")
    before = {overmind.pid}

    def whole():
        names = [comm(pid) for pid in stage.everyone()]
        return names.count("sleep") == 3 and "tmux: server" in names and "tmux: client" in names

    until(whole, "its start")
    stage.kill(overmind.pid)
    overmind.wait()
    until(lambda: "tmux: client" not in map(comm, stage.everyone()), "the end of its client")
    return [pid for pid in stage.everyone() if pid not in before]


def comm(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_a_server_that_lost_its_overmind_goes_with_all_that_runs_in_it(stage, wreck, ruin):
    mine = stage.home / "mine.sock"
    assert stage.run("tmux", "-S", mine, "-f", "/dev/null", "new-session", "-d", "exec sleep 1000").returncode == 0
    bystanders = set(stage.everyone()) - set(ruin)
    os.utime(stage.home / "shop" / ".overmind.sock", (1, 1))
    shown = wreck.found()
    assert {pid for pid, one in shown.items() if one["offered"]} == set(ruin)
    assert {one["grade"] for one in shown.values()} == {"strong"}
    done = wreck.clean("--yes", "--project", str(stage.home / "shop"))
    assert done.returncode == 0, done.stdout
    ended(*ruin)
    assert all(map(alive, bystanders))
    assert not (stage.home / "shop" / ".overmind.sock").exists()
    assert list((stage.tmp / f"tmux-{stage.uid}").iterdir()) == []


def test_a_ruin_in_which_somebody_looks_around_is_left_alone(stage, wreck, ruin, terminal):
    (server,) = [pid for pid in ruin if comm(pid) == "tmux: server"]
    label = next(path.name for path in (stage.tmp / f"tmux-{stage.uid}").iterdir())
    screen = terminal(*on_stage(stage, "tmux", "-L", label, "attach"))
    until(lambda: stage.run("tmux", "-L", label, "list-clients").stdout, "somebody attached")
    assert not any(one["offered"] for one in wreck.found().values())
    assert wreck.clean("--yes").returncode == 0
    assert all(map(alive, ruin))
    assert alive(server)
    screen.close()


SERVE = (
    "import socket; s = socket.create_server(('127.0.0.1', 0));"
    "open('port', 'w').write(str(s.getsockname()[1])); c = s.accept(); c[0].recv(1)"
)
CALL = (
    "import socket, time; c = socket.create_connection(('127.0.0.1', int(open('port').read())));"
    "open('called', 'w').write('1'); time.sleep(1000)"
)


@pytest.mark.parametrize("client", ["living", "weak"])
def test_who_serves_somebody_that_lives_on_is_not_offered(stage, wreck, client):
    """Also when that one is shown as well, without being offered."""
    (server,) = wreck.left_by_an_agent("server", script=f'exec python3 -c "{SERVE}"', program="python3")
    stage.pid("port")
    if client == "weak":
        call = f'exec python3 -c "{CALL}"'
        wreck.left_by_an_agent("client", script=call, marks="export CODEX_THREAD_ID=t1", program="python3")
    else:
        stage.start("python3", "-c", CALL)
    stage.pid("called")
    shown = wreck.found()
    assert shown[server]["guard"] == "serving"
    assert wreck.clean("--yes").returncode == 0
    assert alive(server)


def test_of_a_dead_session_whoever_is_not_asked_about_lives_on_and_counts(stage, wreck):
    stage.configure('[policy.run]\nsurvivors = "report"\n')
    agent = stage.agent()
    waits = "while ! test -s port; do sleep 0.1; done"
    run = stage.start_run(
        "api",
        f'(echo $BASHPID > server; exec python3 -c "{SERVE}") & '
        f'({waits}; echo $BASHPID > client; exec python3 -c "{CALL}") & sleep 1000',
    )
    server, client = settled(stage, "server", "client")
    stage.pid("called")
    stage.kill(run.pid)
    stage.record("session.judged", "api")
    stage.kill(agent.pid, signal.SIGTERM)
    agent.wait()
    both = wreck.found()
    assert (both[server]["offered"], both[client]["offered"]) == (True, True)
    one = until(lambda: wreck.found("--pattern", "^python3 .*create_server", "--older-than", "1s"), "its age")
    assert {pid: finding["guard"] for pid, finding in one.items()} == {server: "serving"}
