"""The dev environment of a project: what is ended, what is spared, and what is said.

No agent runs but where one is wanted: the verbs do their work themselves.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time

import pytest

from tests.handlers.room import becomes
from tests.lab.project import Project, free_ports
from tests.lab.stage import HERE, PATIENCE, alive, interpreter, until
from tests.lab.tracing import lose

pytestmark = [pytest.mark.real, pytest.mark.parametrize("source", ["connector"], indirect=True)]


@pytest.fixture
def project(stage):
    return Project(stage)


# -- start ------------------------------------------------------------------------------


def test_a_stranger_on_a_port_is_named_and_nothing_is_started(stage, project):
    stranger = project.orphan(project.ports[1], directory=stage.tmp)
    done = project.sentinel("start")
    assert done.returncode == 1
    assert f"port {project.ports[1]} is held by pid {stranger} (python3, user sentinel-lab-" in done.stderr
    assert f"in {stage.tmp}), which is not the project's; end that one yourself" in done.stderr
    assert alive(stranger)
    assert project.state() == "stopped"
    shown = project.sentinel("status", ".").stdout
    assert shown.endswith(f"start it when port {project.ports[1]} is free with: sentinel start\n")


def test_another_users_process_on_a_port_is_named_by_its_user(project):
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        project.stage.file("shop/sentinel.toml", f"[project]\nports = [{port}]\n")
        done = project.sentinel("start")
    assert done.returncode == 1
    assert f"port {port} is held by a process of user root" in done.stderr


def test_what_is_left_of_it_is_cleared_away_and_it_is_started_once(stage, project):
    left = project.orphan(project.ports[0])
    project.stale_socket()
    said = project.right("start")
    assert f"1 process on ports {', '.join(map(str, sorted(project.ports)))} ended: pid {left} (python3)" in said
    assert not alive(left)
    again = project.right("start")
    assert f"shop runs already: Overmind (pid {project.manager()}) since " in again
    assert ", started by " in again
    assert f"http://localhost:{project.ports[0]}" in again
    assert "logs: " in again
    web = project.right("logs", "frontend", "manager")
    assert "frontend | Serving HTTP on 127.0.0.1" in web
    assert "\\x1b" not in web


def test_mercy_a_start_ends_what_is_in_its_way_and_leaves_what_was_meant_to_stay(stage, project):
    """Who starts a project has not said that all of it is to end, as who stops it has."""
    one, _ = project.ports
    stage.file("shop/sentinel.toml", f'[project]\nports = [{one}]\npatterns = ["sleep 70[0-9]"]\n')
    serve = f"exec python3 -m http.server {one} --bind 127.0.0.1"
    daemon = f"setsid -f sh -c 'echo $$ > {stage.home}/daemon; exec sleep 900' </dev/null >/dev/null 2>&1"
    ledger = stage.home / "state" / "ledger.json"
    # What an Overmind loses before the agent knows of it belongs to nobody.
    known = f'until grep -q \'"kind":"overmind"\' {ledger}; do sleep 0.05; done'
    stage.file("shop/Procfile", f"web: {known}; {daemon}; {serve}\n")
    stage.agent()
    project.right("start")
    daemon = stage.pid("daemon")
    until(
        lambda: ledger.exists() and f'"id":[{daemon},' in ledger.read_text(),
        "its being the dead Overmind's by the ledger",
    )
    project.kill(project.manager())
    until(lambda: project.listening() == {one: []}, "the clean-up")
    lost = _lost(stage, project.home, "sleep 700", "lost")
    in_the_way = project.orphan(one, "in-the-way")
    stage.file("shop/Procfile", f"web: {serve}\n")
    said = project.right("start")
    assert not alive(in_the_way), said
    assert alive(daemon), said
    assert alive(lost), said
    project.right("stop")
    assert not alive(daemon)
    assert not alive(lost)


STARTED_BY_HAND = """
import subprocess, sys, time
from sentinel.cli import main
from sentinel.environments import stopping

look = stopping.survey

def survey(*args):
    stopping.survey = look
    subprocess.run(["overmind", "start", "-D"], check=True, stdout=subprocess.DEVNULL)
    while not any(server.managed and server.socket for server in look(*args).servers):
        time.sleep(0.05)
    return look(*args)

stopping.survey = survey  # the first look is over by then
sys.argv[1:] = ["start"]
sys.exit(main())
"""


def test_mercy_a_start_ends_no_overmind_that_was_started_by_hand_since_it_looked(stage, project):
    project.kill(project.zombie())  # its socket is to be cleared away
    words = [word for word in interpreter() if word not in {"-m", "sentinel"}]
    words = ["env", "-C", str(project.home), f"PATH={project.path}", *words, "-c", STARTED_BY_HAND]
    done = stage.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"shop runs already: Overmind (pid {project.manager()})" in done.stdout
    assert f"it was started meanwhile, by somebody else (pid {project.manager()})" in done.stdout


def test_a_process_that_ends_at_once_fails_the_start_with_all_that_is_known(stage, project):
    stage.file("shop/Procfile", "old: exit 3\n")
    assert project.sentinel("start").returncode == 1
    project.right("stop")
    # Who is deaf to being asked keeps Overmind for seconds: else all may be over by itself on a busy machine.
    stage.file("shop/Procfile", "web: echo no luck; exit 3\ndeaf: trap '' INT; exec sleep 1000\n")
    done = project.sentinel("start")
    assert done.returncode == 1
    assert "shop does not stand" in done.stdout
    assert "--- diagnostics of shop ---" in done.stderr
    assert "  no luck" in done.stderr
    assert f"port {project.ports[0]}: free" in done.stderr
    assert "old.log" not in done.stderr
    assert "  part of it still runs; end that with: sentinel stop" in done.stdout


def test_a_failed_start_of_which_nothing_is_left_says_that(stage):
    project = Project(stage, overmind=False)
    stage.file("shop/Procfile", "web: exit 3\n")
    done = project.sentinel("start")
    assert done.returncode == 1
    assert "  nothing of it runs\n" in done.stdout
    assert project.state() == "stopped"


def test_two_starts_at_once_are_one_start_and_two_right_answers(stage, project):
    both = [stage.start(*project.command("start"), stdout=-1) for _ in range(2)]
    said = [one.communicate(timeout=60)[0].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("runs already" in one for one in said) == 1
    overminds = [pid for pid in stage.everyone() if _called(pid, "overmind")]
    assert overminds == [project.manager()]


def _called(pid, name):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == name
    except OSError:
        return False


def test_without_overmind_honcho_runs_it(stage):
    project = Project(stage, overmind=False)
    assert "starting shop with honcho" in project.right("start")
    told = project.status()
    assert (told["state"], told["managers"][0]["kind"]) == ("healthy", "honcho")
    project.right("stop")
    assert project.state() == "stopped"
    project.nothing_left()
    (intent,) = stage.journal("action.intended")  # what is announced and never told is taken for abandoned
    (done,) = stage.journal("cleanup.done")
    assert done["data"]["session"]["key"] == intent["data"]["session"]["key"]
    assert [outcome["result"] for outcome in done["data"]["outcomes"]] == ["ended"]


def test_a_file_that_came_after_the_project_was_allowed_is_new_and_no_changed_one(stage, project):
    file = project.home / "sentinel.toml"
    file.unlink()
    project.right("allow")
    stage.file("shop/sentinel.toml", '[project]\nstart = "sleep 600"\n')
    assert f"{file} is new since you allowed this project (sleep 600): look" in project.sentinel("start").stderr
    project.right("allow")
    stage.file("shop/sentinel.toml", '[project]\nstart = "sleep 700"\n')
    assert "has changed since you allowed it" in project.sentinel("start").stderr
    assert project.state() == "stopped"


def test_a_project_file_runs_nothing_until_it_is_allowed_and_again_when_it_says_something_else(stage, project):
    ports = f"ports = [{project.ports[0]}]\n"
    serve = f"exec python3 -m http.server {project.ports[0]} --bind 127.0.0.1"
    stage.file("shop/sentinel.toml", f'[project]\nstart = "touch ran; {serve}"\n{ports}')
    refused = project.sentinel("start")
    assert refused.returncode == 1
    assert "look at it, and when you trust it say: sentinel allow" in refused.stderr
    assert not (project.home / "ran").exists()
    project.right("allow")
    stage.file("shop/sentinel.toml", f'[project]\nstart = "touch worse; {serve}"\n{ports}')
    refused = project.sentinel("restart")
    assert "has changed since you allowed it" in refused.stderr
    assert not (project.home / "worse").exists()
    project.right("allow")
    project.right("start")
    assert (project.home / "worse").exists()
    assert project.status()["managers"][0]["kind"] == "command"
    project.right("stop", "--level", "aggressive")
    project.nothing_left()


# -- stop -------------------------------------------------------------------------------


def test_whoever_is_not_the_projects_is_spared_whatever_it_has_in_common(stage, project):
    """The condemned case, and one protection each."""
    (other,) = free_ports(1)
    one, two = project.ports
    stage.file("shop/sentinel.toml", f'[project]\nports = [{one}, {two}]\npatterns = ["sleep 70[0-9]"]\n')
    stage.file("shop/inner/Procfile", "web: true\n")
    condemned = project.orphan(one, "condemned")
    lost = _lost(stage, project.home, "sleep 700", "lost")
    spared = {
        "on another port": project.orphan(other, "other"),
        "in another directory": project.orphan(two, "elsewhere", stage.tmp),
        "in a project inside": _lost(stage, project.home / "inner", "sleep 701", "nested"),
        "without the pattern": _lost(stage, project.home, "sleep 800", "unlike"),
        "with a parent": _child(stage, project.home, "sleep 702", "child"),
        "kept": _lost(stage, project.home, "env SENTINEL_KEEP=1 sleep 703", "kept"),
    }
    said = project.sentinel("stop").stdout
    assert not alive(condemned), said
    assert not alive(lost), said
    assert {why for why, pid in spared.items() if not alive(pid)} == set()
    assert f"pid {spared['kept']} (sleep) stays: its environment says that it is to be kept" in said
    assert f"port {two} is held by pid {spared['in another directory']}" in said
    stage.file("shop/sentinel.toml", f'[project]\nports = [{other}]\nprotected = ["python3*"]\n')
    assert "is a protected program" in project.sentinel("stop").stdout
    assert alive(spared["on another port"])


def _lost(stage, directory, command, name):
    """A process that lost its parent."""
    stage.start("bash", "-c", f"cd {directory}; (exec {command}) & echo $! > {stage.home}/{name}").wait(PATIENCE)
    pid = stage.pid(name)
    becomes(pid, "sleep")
    return pid


def _child(stage, directory, command, name):
    """A process whose parent waits for it."""
    stage.start("bash", "-c", f"cd {directory}; {command} & echo $! > {stage.home}/{name}; wait")
    pid = stage.pid(name)
    becomes(pid, "sleep")
    return pid


def _comm(pid):
    """Name of a program; empty where the process has just ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        return file.read()
    return b""


def test_what_a_person_runs_in_a_pane_is_spared_though_it_has_the_port(stage, project):
    serve = f"python3 -m http.server {project.ports[0]} --bind 127.0.0.1"
    stage.run("env", "-C", str(project.home), "tmux", "-L", "mine", "new-session", "-d", serve)
    pid = until(lambda: next(iter(project.listening()[project.ports[0]]), None), "it listening")
    done = project.sentinel("stop")
    assert done.returncode == 1
    assert f"pid {pid} (python3) stays: its session tmux pane %0 (pid {pid}) is alive" in done.stdout
    assert "no processes on" not in done.stdout
    assert alive(pid)


_EDITOR = """
import os, pty, sys
home, port, told = sys.argv[1:]
os.chdir(home)
if os.fork() or os.setsid() or os.fork():
    os._exit(0)
def terminal(*words):
    pid, _ = pty.fork()
    if not pid:
        os.execvp(words[0], words)
    return pid
server = terminal("bash", "-c", f"python3 -m http.server {port} --bind 127.0.0.1; true")
other = terminal("sleep", "900")
with open(told, "w") as file:
    file.write(f"{os.getpid()} {server} {other}")
for fd in range(3):
    os.dup2(os.open(os.devnull, os.O_RDWR), fd)
os.wait()
os.wait()
"""
"""What ``emacs --daemon`` and an editor's terminals are: it left its parent, works in the project, and has panes."""


def test_an_editor_that_left_its_parent_is_spared_though_a_server_of_the_project_runs_in_a_terminal_of_it(
    stage, project
):
    told = stage.home / "told"
    stage.run("python3", "-c", _EDITOR, str(project.home), str(project.ports[0]), str(told))
    editor, _, other = map(int, until(lambda: _text(told).split(), "the editor"))
    (server,) = until(lambda: project.listening()[project.ports[0]], "it listening")
    said = project.sentinel("stop").stdout
    assert not alive(server), said
    assert alive(editor), said
    assert alive(other), said


@pytest.mark.parametrize("part", ["overmind", "tmux: server", "tmux: client", "python3"])
def test_whichever_part_was_killed_stop_leaves_nothing(stage, project, part):
    project.right("start")
    victim = next(pid for pid in stage.everyone() if _comm(pid).decode().startswith(part))
    project.kill(victim)
    project.right("stop", "--level", "aggressive")
    assert project.state() == "stopped"
    project.nothing_left()


def test_an_overmind_that_would_wait_for_ever_is_set_free(stage, project):
    """Its tmux server lost a SIGCHLD: it takes the zombie of its process for alive, and no agent is there to see it."""
    stage.file("shop/Procfile", "web: exec sleep 1000\n")
    stage.file("shop/sentinel.toml", "[project]\n")
    project.right("start")
    stopping = []
    said = stage.home / "said"
    with open(said, "wb") as file:
        stop = project.command("stop")
        lose(project.server(), signal.SIGCHLD, lambda: stopping.append(stage.start(*stop, stdout=file)))
    assert stopping[0].wait(30) == 0
    assert "was asked to quit, and ended after" in said.read_text()
    project.nothing_left()


def test_an_overmind_that_answers_nobody_holds_nobody_up(stage, project):
    """Neither its status nor its end is waited for but for the time that a quit may take."""
    deaf = (
        (HERE / "standin" / "overmind").read_text().replace("def serve(c):", "def serve(c):\n        time.sleep(1000)")
    )
    stage.file("bin/overmind", deaf, 0o755)
    project.right("start")
    assert project.state() == "healthy"
    assert "was asked to quit, and has not ended within 3 s" in project.right("stop")
    assert project.state() == "stopped"
    project.nothing_left()


def test_a_cluster_of_puma_and_a_tree_of_node_go_with_their_project(stage, project):
    """puma's workers hold the port too; a script of npm is a shell around node, in a directory below."""
    if shutil.which("puma") is None:
        pytest.skip("missing: puma")
    web, front = project.ports
    stage.file("shop/config.ru", "run ->(e) { [200, {}, ['ok']] }\n")
    serve = f'require("http").createServer().listen({front}, "127.0.0.1")'
    stage.file("shop/dashboard/serve.js", serve)
    stage.file(
        "shop/Procfile",
        f"web: puma -w 2 -b tcp://127.0.0.1:{web} config.ru\nfrontend: cd dashboard && sh -c 'node serve.js; true'\n",
    )
    project.right("start")
    until(lambda: len(project.listening()[web]) == 3, "puma's workers")
    project.kill(project.manager())
    assert project.state() == "partial"
    said = project.right("stop", "--level", "aggressive")
    assert f"4 processes on ports {', '.join(map(str, sorted(project.ports)))} ended" in said
    project.nothing_left()


def test_what_a_reboot_left_is_swept(stage, project):
    """Another boot's socket, tmux socket, script directory and note: whom they name may be anybody by now."""
    project.stale_socket()
    label = "overmind-shop-" + "x" * 21
    directory = stage.tmp / label
    bystander = stage.start("sleep", "600")
    note = {
        "boot": "another",
        "manager": "honcho",
        "pid": bystander.pid,
        "start": 1,
        "since": 1.0,
        "by": "",
        "logs": "",
    }
    stage.run("mkdir", "-m", "700", str(directory), "-p")
    stage.run("mkdir", "-p", f"{stage.tmp}/tmux-{stage.uid}")
    bind = f"import socket; socket.socket(socket.AF_UNIX).bind('{stage.tmp}/tmux-{stage.uid}/{label}')"
    stage.run("python3", "-c", bind)
    os.utime(directory, (time.time() - 9000,) * 2)
    project.right("allow")  # leaves the note
    (path,) = (stage.home / "state" / "projects").glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": note}))
    shown = project.sentinel("status", ".")
    assert shown.returncode == 1
    assert "2 files of tmux and Overmind that nobody holds" in shown.stdout
    project.right("stop")
    project.nothing_left()
    assert alive(bystander.pid)


def test_a_file_in_the_sockets_place_gets_another_name_when_it_is_empty_and_stays_when_it_is_not(stage, project):
    stage.file("shop/.overmind.sock")
    assert "it is called .overmind.sock.not-a-socket now" in project.right("stop")
    stage.file("shop/.overmind.sock", "precious")
    done = project.sentinel("stop")
    assert done.returncode == 1
    assert project.socket.read_text() == "precious"


def test_a_hundred_stops_in_a_row_are_all_right(stage, project):
    script = (
        "import sys; from sentinel.cli import main\n"
        "for _ in range(100):\n"
        "    sys.argv = ['sentinel', 'stop']; status = main()\n"
        "    if status: sys.exit(status)\n"
    )
    words = [word for word in interpreter() if word not in {"-m", "sentinel"}]
    done = stage.run("env", "-C", str(project.home), *words, "-c", script)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.count("shop is stopped") == 100
    assert done.stdout.count("no processes on ports") == 100


def test_nothing_is_ended_while_sentinel_is_paused(stage, project):
    left = project.orphan(project.ports[0])
    stage.sentinel("pause")
    done = project.sentinel("stop")
    assert done.returncode == 1
    assert "paused" in done.stderr
    assert alive(left)


def test_it_is_not_stopped_from_within(stage, project):
    stage.file("shop/Procfile", f"{project.home.joinpath('Procfile').read_text()}shell: sleep 1000\n")
    project.right("start")
    label = project.status()["tmux"][0]["label"]
    line = " ".join([*project.command("stop"), f"> {stage.home}/said 2>&1"])
    stage.run("tmux", "-L", label, "new-window", line)
    until(lambda: "this runs inside of the project itself" in _text(stage.home / "said"), "the refusal")
    assert project.state() == "healthy"


def _text(path):
    return path.read_text() if path.exists() else ""


def test_an_agent_that_watches_is_in_nobodys_way(stage, project):
    stage.agent()
    project.right("start")
    assert project.state() == "healthy"
    project.right("stop", "shop")
    project.nothing_left()
    assert not stage.journal("handler.failed")


# -- nuke -------------------------------------------------------------------------------


def test_nuke_asks_and_where_nobody_can_answer_it_ends_nothing(stage, project):
    zombie = project.zombie()
    done = project.sentinel("nuke")
    assert done.returncode == 1
    assert "nobody is here to ask; say --yes" in done.stderr
    assert alive(zombie)


def test_nuke_needs_no_procfile_that_can_be_read(stage, project):
    project.right("start")
    manager = project.manager()
    stage.file("shop/Procfile", "garbage\n")
    done = project.sentinel("nuke", "--yes")
    said = "shop/Procfile: no line of it reads NAME: COMMAND; of project shop only what shows without it is listed"
    assert said in done.stdout, done
    assert "all clear" in done.stdout
    assert done.returncode == 0
    assert not alive(manager)


def test_nuke_needs_no_patterns_that_come_to_an_end(stage, project):
    project.right("start")
    stage.file("shop/sentinel.toml", '[project]\npatterns = ["(.*)*(.*)*(.*)*(.*)*X0Y"]\n')
    _lost(stage, project.home, f"sleep 700.{'0' * 200}", "lost")
    assert project.sentinel("status", ".").returncode == 78
    project.right("nuke", "--yes")
    project.kill(stage.pid("lost"))
    project.nothing_left()


def test_nuke_spares_its_own_terminal_and_what_the_guards_speak_for(stage, project):
    project.zombie()
    kept = project.orphan(project.ports[0], "kept")
    stage.sentinel("keep", str(kept))
    project.right("allow")
    said = stage.home / "said"
    nuke = f"sleep 900 & echo $! > {stage.home}/job; {' '.join(project.command('nuke', '--yes'))} > {said} 2>&1"
    line = f"{nuke}; echo $? > {stage.home}/status; sleep 1000"
    stage.run("tmux", "-L", "desk", "new-session", "-d", "-s", "desk", "sleep 901")
    stage.run("tmux", "-L", "desk", "new-window", line)  # it ends the other one, which must be there by then
    until(lambda: _text(stage.home / "status"), "its end")
    said = _text(said)
    assert alive(stage.pid("job")), said
    assert alive(kept), said
    assert "it is to be kept" in said
    assert "this command runs under it" in said
    assert "tmux session desk on desk" in said

    def left():
        return [pid for pid in stage.everyone() if _comm(pid) == b"sleep\n"]

    # The job, and what its pane goes on with: that begins after the status is written.
    until(lambda: len(left()) == 2, said)


def test_mercy_nuke_spares_the_agent_that_runs_in_a_pane_and_what_that_hangs_on(stage, project):
    """As the README has it run. The pane beside it is ended, so the yes was heard."""
    agent = f"echo $$ > {stage.home}/pane; {' '.join(interpreter())} agent & echo $! > {stage.home}/agent; wait"
    stage.run("tmux", "-L", "desk", "new-session", "-d", agent)
    stage.run("tmux", "-L", "desk", "new-window", f"echo $$ > {stage.home}/beside; sleep 900; :")
    watcher, pane, beside = stage.pid("agent"), stage.pid("pane"), stage.pid("beside")
    until(lambda: stage.sentinel("status").returncode == 0, "the agent's start")
    said = project.right("nuke", "--yes")
    assert not alive(beside), said
    assert alive(watcher), said
    assert alive(pane), said
    assert "it is Sentinel's agent" in said
    assert said.count("Sentinel's agent runs under it") == 2  # the pane, and its server
    assert stage.sentinel("status").returncode == 0


ASKED_FOR_LONG = """
import sys, time
from pathlib import Path
from sentinel.cli import main
from sentinel.environments.nuking import Nuke

end = Nuke.end

def say_yes_late(self, *args):
    Path.home().joinpath("listed").touch()
    while not Path.home().joinpath("watched").exists():
        time.sleep(0.05)
    return end(self, *args)

Nuke.end = say_yes_late
sys.argv[1:] = ["nuke", "--yes"]
sys.exit(main())
"""


def test_mercy_nuke_spares_the_pane_in_which_an_agent_was_started_while_it_asked(stage):
    agent = f"until [ -e {stage.home}/listed ]; do sleep 0.05; done; {' '.join(interpreter())} agent; :"
    stage.run("tmux", "-L", "desk", "new-session", "-d", f"echo $$ > {stage.home}/pane; {agent}")
    stage.run("tmux", "-L", "desk", "new-window", f"echo $$ > {stage.home}/beside; sleep 900; :")
    pane, beside = stage.pid("pane"), stage.pid("beside")
    nuke = stage.start(*interpreter()[:-2], "-c", ASKED_FOR_LONG, stdout=subprocess.PIPE, text=True)
    until(lambda: stage.sentinel("status").returncode == 0, "the agent's start")
    stage.file("watched")
    said = nuke.communicate(timeout=PATIENCE)[0]
    assert not alive(beside), said
    assert alive(pane), said
    assert said.count("Sentinel's agent runs under it by now") == 2  # the pane, and its server
    assert (nuke.returncode, stage.sentinel("status").returncode) == (1, 0)


def test_mercy_nuke_ends_nothing_while_nobody_can_tell_which_process_is_the_agent(stage, project):
    """Its lock is held, and says nothing of who holds it: it is about to, or the disk was full."""
    orphan = project.orphan(project.ports[0])
    runtime = stage.home / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    with open(runtime / "agent.lock", "wb") as lock:
        for path in (runtime, lock.name):
            os.chown(path, stage.uid, stage.uid)
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = stage.sentinel("nuke", "--yes")
    assert (done.returncode, alive(orphan)) == (1, True), done.stdout
    assert "nobody can tell which process is Sentinel's agent, so nothing is ended" in done.stderr


def test_nuke_spares_what_runs_on_its_own_terminal(stage, project, terminal):
    """A plain terminal, without tmux: no session is around it, and the job there has the project's port."""
    project.right("allow")
    window = terminal("bash", "--norc", "-i")
    port = project.ports[0]
    window.type(f"cd {project.home}; python3 -m http.server {port} --bind 127.0.0.1 >/dev/null 2>&1 &\n")
    (pid,) = until(lambda: project.listening()[port], "it listening")
    window.type(f"{shlex.join(project.command('nuke', '--yes'))}\n")
    window.shows("it is on the terminal of this command")
    window.shows("all clear; spared: 1 process")
    assert alive(pid)


def test_what_to_type_works_where_it_is_said(stage, project):
    assert project.sentinel("status", ".").stdout.endswith("start it with: sentinel start\n")
    elsewhere = stage.sentinel("status", str(project.home)).stdout
    assert elsewhere.endswith(f"start it with: sentinel start {project.home}\n")
    stage.file("shop/Procfile", "web: sleep 60\n")
    stage.file("shop/sentinel.toml", '[project]\nname = "shop"\n')
    started = stage.run("env", f"PATH={project.path}", *interpreter(), "start", str(project.home))
    assert f"  logs: sentinel logs --project {project.home}\n" in started.stdout
    project.right("stop")


# -- what is asked --------------------------------------------------------------------------


def test_what_cannot_be_is_said_in_one_sentence(stage, project):
    nowhere = stage.sentinel("start")
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (1, 1)
    assert "there is no project in" in nowhere.stderr
    unknown = stage.sentinel("status", "nonesuch")
    assert "no project called nonesuch was started here before" in unknown.stderr
    assert unknown.returncode == 4
    stage.file("shop/sentinel.toml", '[project]\nname = "shop"\nport = [1]\n')
    broken = project.sentinel("stop")
    assert broken.returncode == 78
    assert 'sentinel.toml:3: unknown key "port" in [project]; did you mean "ports"?' in broken.stderr
    stage.file("shop/sentinel.toml", '[project]\npatterns = ["(.*)*(.*)*(.*)*(.*)*X0Y"]\n')
    _lost(stage, project.home, f"sleep 700.{'0' * 200}", "lost")
    endless = project.sentinel("status", ".")
    assert (endless.returncode, endless.stderr.count("\n")) == (78, 1)
    assert "sentinel.toml: to look for its patterns takes too long" in endless.stderr


def test_logs_are_followed_over_a_new_start(stage, project):
    logs = stage.home / "state" / "logs"
    project.right("start")
    (folder,) = logs.iterdir()
    following = stage.start(*project.command("logs", "web", "-f", "-n", "0"), stdout=-1)
    os.set_blocking(following.stdout.fileno(), False)
    seen = b""

    def shows(text):
        nonlocal seen
        seen += following.stdout.read() or b""
        return text in seen

    def says(line):
        with open(folder / "web.log", "ab") as file:
            file.write(line + b"\n")

    until(lambda: os.path.exists(folder / "web.log"), "the log")
    until(lambda: says(b"first") or shows(b"web | first"), "the line")  # once it looks: what was before, it leaves
    os.replace(folder / "web.log", folder / "web.log.1")
    stage.file(f"state/logs/{folder.name}/web.log")
    says(b"second")
    until(lambda: shows(b"web | second"), "the line")
    following.send_signal(signal.SIGINT)
