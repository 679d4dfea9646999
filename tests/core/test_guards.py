"""Mercy: each guard alone spares, and without it the same process is condemned."""

from __future__ import annotations

import inspect
import re
from itertools import product
from pathlib import Path

import pytest

from sentinel.core.facts import Death, Departure, Gone, ProcessId, Stdio, Surroundings, Unknown
from sentinel.core.guards import GUARDS, wants_stdio
from sentinel.core.judge import judge, objections
from sentinel.core.ledger import Witness
from sentinel.core.policy import Daemons, KindPolicy, Survivors
from sentinel.core.rules import directories, locks, sockets
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Absent, Condemned, Spared
from tests.core.cases import (
    DIED,
    LEFT_ON_PURPOSE,
    ROOT,
    TARGET,
    US,
    above,
    case,
    facts,
    member,
    session,
    world,
)

RULES = Path(__file__).parents[2] / "docs" / "rules.md"
NOT_KNOWN = Unknown("what it is", "a test says so")
TERMINAL = Stdio(terminal=True, pipe=False)
PIPE = Stdio(terminal=False, pipe=True)
SERVER = ProcessId(300, 3000)
INNER = session(Kind.AGENT, name="claude", root=SERVER)
OUTER_RUN = session(Kind.RUN, name="outer", root=SERVER)
FOUNDLING = member(left=Departure(DIED - 5, None), witness=Witness.LOOK, since=DIED - 5)
INSIDE = world(roots={SERVER: session(Kind.AGENT, name="claude", root=SERVER, outer=session().key)})
INSIDE_AGENT = world(roots={SERVER: session(Kind.RUN, root=SERVER, outer=session(Kind.AGENT).key)})
DAEMON = {"member": member(left=LEFT_ON_PURPOSE), "facts": facts(session=TARGET.pid)}


def around(**seen):
    return Surroundings(**seen)


def left(**changes):
    return member(left=LEFT_ON_PURPOSE._replace(**changes))


SPARED = [
    ("not-in-ledger", "nobody bore it", {"member": None}),
    ("not-in-ledger", "no session is known", {"session": None}),
    ("not-in-ledger", "neither", {"member": None, "session": None, "death": None}),
    ("owner-alive", "its session lives", {"death": None}),
    ("owner-alive", "its pane lives", {"death": None, "session": session(Kind.PANE)}),
    ("owner-alive", "its agent lives, though it lost its parent", {"death": None, "member": left()}),
    ("unknown", "the root cannot be asked", {"death": NOT_KNOWN}),
    ("unknown", "it cannot be looked at", {"facts": NOT_KNOWN}),
    ("unknown", "its parents cannot be told", {"chain": NOT_KNOWN}),
    ("unknown", "its input and output cannot be told", {"stdio": NOT_KNOWN}),
    ("unknown", "nobody looked at its input and output", {"stdio": None, "facts": facts(hangup_ignored=True)}),
    ("unknown", "the same, of one that lost its parent", {"stdio": None, "member": left(clean=False, at=DIED)}),
    ("unknown", "nobody could tell what it is", {"member": member(unread=TARGET)}),
    ("unknown", "nobody could tell what the one was that bore it", {"member": member(unread=ProcessId(150, 1))}),
    ("identity", "another has its number", {"facts": facts(id=ProcessId(TARGET.pid, 2001))}),
    ("identity", "an older one has its number", {"facts": facts(id=ProcessId(TARGET.pid, 1))}),
    ("identity", "another number altogether", {"facts": facts(id=ProcessId(201, TARGET.start))}),
    ("ourselves", "init", {"id": ProcessId(1, 2000), "facts": facts(id=ProcessId(1, 2000))}),
    ("ourselves", "Sentinel", {"id": ProcessId(US.pid, 1), "facts": facts(id=ProcessId(US.pid, 1))}),
    ("ourselves", "its parent", {"id": ProcessId(40, 1), "facts": facts(id=ProcessId(40, 1))}),
    ("ourselves", "its process group", {"facts": facts(group=US.group)}),
    ("other-user", "root's", {"facts": facts(uid=0)}),
    ("other-user", "a neighbour's", {"facts": facts(uid=1001)}),
    ("other-user", "nobody's", {"facts": facts(uid=65534)}),
    ("other-namespace", "a container's", {"facts": facts(foreign_namespace=True)}),
    ("other-namespace", "docker exec", {"facts": facts(parent=0)}),
    ("other-namespace", "both", {"facts": facts(parent=0, foreign_namespace=True)}),
    ("kernel-thread", "a kernel thread", {"facts": facts(kernel_thread=True)}),
    ("kernel-thread", "one with a friendly name", {"facts": facts(kernel_thread=True, name="node")}),
    ("kernel-thread", "one that runs", {"facts": facts(kernel_thread=True, state="R")}),
    ("living-session", "an agent in a closed pane", {"world": world(roots={TARGET: INNER})}),
    ("living-session", "a nested run", {"world": world(roots={TARGET: OUTER_RUN})}),
    ("living-session", "a tmux server", {"world": world(roots={TARGET: session(Kind.TMUX, root=TARGET)})}),
    ("inner-session", "it fell to a run in which an agent lives", {"member": FOUNDLING, "world": INSIDE}),
    ("inner-session", "one that fell to it bore it", {"member": member(foundling=True), "world": INSIDE}),
    (
        "inner-session",
        "the run named it before it ended",
        {"member": member(left=Departure(DIED - 5, None), witness=Witness.CHILD, since=DIED - 5), "world": INSIDE},
    ),
    (
        "inner-session",
        "it is known by its scope alone",
        {"member": member(left=Departure(DIED - 5, None), witness=Witness.SCOPE, since=DIED - 9), "world": INSIDE},
    ),
    (
        "inner-session",
        "it fell to an agent in which another lives",
        {"member": FOUNDLING, "session": session(Kind.AGENT), "world": INSIDE_AGENT},
    ),
    ("tmux-server", "a tmux server of a dead agent", {"facts": facts(name="tmux: server")}),
    ("tmux-server", "of a pane", {"facts": facts(name="tmux: server"), "session": session(Kind.PANE)}),
    (
        "tmux-server",
        "of an Overmind, but not its own",
        {"facts": facts(name="tmux: server"), "session": session(Kind.OVERMIND)},
    ),
    ("live-pane", "beside Sentinel", {"chain": (above(US.pid + 1), above(300, "tmux: server"))}),
    ("live-pane", "under a server", {"chain": (above(300, "tmux: server"),)}),
    ("live-pane", "further up", {"chain": (above(250), above(300, "tmux: server"))}),
    (
        "live-pane",
        "under another Overmind's server",
        {
            "session": session(Kind.OVERMIND),
            "chain": (above(300, "tmux: server", 3000),),
            "world": world(manager_servers={SERVER: "another@1"}),
        },
    ),
    (
        "adopted",
        "under a living agent",
        {"chain": (above(300, "claude", 3000),), "world": world(roots={SERVER: INNER})},
    ),
    (
        "adopted",
        "further up",
        {"chain": (above(250), above(300, "claude", 3000)), "world": world(roots={SERVER: INNER})},
    ),
    (
        "adopted",
        "under a living Overmind",
        {"chain": (above(300, "overmind", 3000),), "world": world(roots={SERVER: session(Kind.OVERMIND, root=SERVER)})},
    ),
    ("stopped", "stopped by Ctrl-Z", {"facts": facts(state="T")}),
    ("stopped", "at a breakpoint", {"facts": facts(state="t")}),
    ("stopped", "traced while it runs", {"facts": facts(tracer=77)}),
    ("nohup", "nohup", {"facts": facts(hangup_ignored=True)}),
    ("nohup", "nohup into a pipe", {"facts": facts(hangup_ignored=True), "stdio": PIPE}),
    ("nohup", "in a session of its own", {"facts": facts(hangup_ignored=True, session=TARGET.pid)}),
    ("daemonised", "the last of a double fork", {"member": left(), "facts": facts(session=150)}),
    ("daemonised", "one that leads its session", DAEMON),
    ("daemonised", "nobody told how its parent ended", {**DAEMON, "member": left(clean=None)}),
    ("daemonised", "its parent was killed long before", {**DAEMON, "member": left(clean=False)}),
    ("daemonised", "its parent was killed just before", {**DAEMON, "member": left(clean=False, at=DIED - 2.01)}),
    ("daemonised", "its parent left in order a moment before", {**DAEMON, "member": left(at=DIED - 0.01)}),
    (
        "daemonised",
        "the last of a double fork that fell to the command of a run",
        {
            "member": member(left=Departure(DIED - 5, None), foundling=True, witness=Witness.LOOK),
            "facts": facts(session=149),
            "session": session(command=150),
        },
    ),
    ("daemonised", "nobody told what its parent ran", {"member": left(forked_only=None), "facts": facts(session=149)}),
    ("disowned", "disowned", {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid)}),
    (
        "disowned",
        "its shell ended by itself",
        {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid), "death": Death(DIED, 1 << 8)},
    ),
    (
        "disowned",
        "nobody told how its shell ended",
        {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid), "death": Death(DIED)},
    ),
    ("policy", "only reported", {"policy": KindPolicy(survivors=Survivors.REPORT)}),
    (
        "policy",
        "only reported after exit",
        {"policy": KindPolicy(after_exit=Survivors.REPORT), "death": Death(DIED, 0)},
    ),
    (
        "policy",
        "a pane whose shell was left after a failed command",
        {
            "policy": KindPolicy(after_exit=Survivors.REPORT),
            "death": Death(DIED, 1 << 8),
            "session": session(Kind.PANE, outer=INNER.key),
            "world": world(roots={SERVER: INNER}),
        },
    ),
    (
        "nohup",
        "node, which put its signals back to their defaults",
        {"member": member(nohup=True)},
    ),
    (
        "policy",
        "nobody told how it ended, and its server lives",
        {
            "policy": KindPolicy(after_exit=Survivors.REPORT),
            "death": Death(DIED),
            "session": session(Kind.PANE, outer=INNER.key),
            "world": world(roots={SERVER: INNER}),
        },
    ),
    (
        "policy",
        "an agent of which nobody told how it ended",
        {
            "policy": KindPolicy(after_exit=Survivors.REPORT),
            "death": Death(DIED),
            "session": session(Kind.AGENT),
        },
    ),
    (
        "policy",
        "only reported, whatever the end",
        {"policy": KindPolicy(survivors=Survivors.REPORT), "death": Death(DIED, 3 << 8)},
    ),
]

SPARED += [
    ("sheltered", why, {"shelter": Spared(SERVER, by, "it is")})
    for why, by in [("a daemon's worker", "daemonised"), ("a child of nohup", "nohup"), ("of a stopped job", "stopped")]
]
SPARED += [
    ("sheltered", f"what one had borne that was spared, {by}", {"member": member(heir_of=by)})
    for by in ("kept", "sheltered", "tracing")
]

SPARED += [
    ("next-generation", f"{witness.name} of the next", {"member": member(witness=witness), "born": DIED + 1})
    for witness in (Witness.CHILD, Witness.CLIENT, Witness.SCOPE)
]
SPARED += [
    ("tracing", "a debugger", {"facts": facts(name="gdb"), "tracees": (201,)}),
    ("tracing", "strace", {"facts": facts(name="strace"), "tracees": (201, 202)}),
    ("tracing", "a tracer with any name", {"tracees": (7,)}),
    ("stopped-jobs", "a shell", {"facts": facts(name="bash"), "jobs": (201,)}),
    ("stopped-jobs", "one with several", {"facts": facts(name="fish"), "jobs": (201, 202)}),
    ("stopped-jobs", "whatever it is called", {"jobs": (7,)}),
    ("kept", "sentinel keep", {"member": member(kept=True)}),
    ("kept", "by its environment", {"surroundings": around(keep=True)}),
    ("kept", "both", {"member": member(kept=True), "surroundings": around(keep=True)}),
    ("protected", "a crew's desk", {"names": ("gt-rig-crew-joe",), "world": world(protected=("gt-*-crew-*",))}),
    ("protected", "inside of one", {"names": ("%1", "gt-a-crew-b"), "world": world(protected=("gt-*-crew-*",))}),
    ("protected", "a program", {"facts": facts(name="vim"), "world": world(protected_programs=("vim", "emacs*"))}),
    (
        "protected",
        "a program of whose name the kernel keeps 15 letters",
        {"facts": facts(name="a-very-long-pro"), "world": world(protected_programs=("a-very-long-program",))},
    ),
    (
        "protected",
        "one of which it keeps half a letter",
        {"facts": facts(name="a-very-long-pr\udcc3"), "world": world(protected_programs=("a-very-long-pr\xe4fect",))},
    ),
    (
        "unit",
        "a service of its own",
        {"surroundings": around(cgroup="/user.slice/user@1000.service/app.slice/db.service")},
    ),
    ("unit", "an application's scope", {"surroundings": around(cgroup="/user.slice/app-firefox-12.scope")}),
    (
        "unit",
        "another one than its root's",
        {
            "session": session(cgroup="/system.slice/ci.service"),
            "surroundings": around(cgroup="/system.slice/x.service"),
        },
    ),
    ("unit", "a container", {"surroundings": around(cgroup="/system.slice/docker-abc.scope")}),
    *(
        ("on-screen", why, {"facts": facts(name=why), "surroundings": around(on_screen=True)})
        for why in ("firefox", "code", "x")
    ),
    ("unreadable", "nobody looked", {"surroundings": None}),
    ("unreadable", "its user may not look into it", {"surroundings": NOT_KNOWN}),
    ("unreadable", "an ssh-agent by another name", {"facts": facts(name="agent"), "surroundings": NOT_KNOWN}),
    ("serving", "a client", {"surroundings": around(clients=("10.0.0.1:5555, connected to its port 80",))}),
    ("serving", "several", {"surroundings": around(clients=("a process that waits at its socket /s", "another"))}),
    ("serving", "a living writer at its input", {"surroundings": around(feeder="whoever writes into the pipe")}),
    ("serving", "a wrapper of one in use", {"needed_by": Spared(SERVER, "serving", "it serves somebody")}),
]
SPARED += [
    (guard, program or name, {"facts": facts(name=name), "surroundings": around(program=program)})
    for guard, name, program in [
        ("session-keeper", "screen", ""),
        ("session-keeper", "mosh-server", ""),
        ("session-keeper", "renamed", "/usr/sbin/sshd"),
        ("editor-server", "node", "/home/me/.vscode-server/bin/1/node"),
        ("editor-server", "node", "/home/me/.cursor-server/bin/1/node"),
        ("editor-server", "zed-remote-serv", ""),
        ("terminal", "gnome-terminal-", ""),
        ("terminal", "kitty", ""),
        ("terminal", "Slack", "/Applications/Slack.app/Contents/MacOS/Slack"),
        ("user-service", "ssh-agent", ""),
        ("user-service", "gpg-agent", ""),
        ("user-service", "gvfsd-fuse", ""),
        ("build-daemon", "watchman", ""),
        ("build-daemon", "sccache", ""),
        ("build-daemon", "java", "/home/me/.cache/bazel/_bazel_me/install/1/java"),
        ("container-runtime", "containerd-shim", ""),
        ("container-runtime", "qemu-system-x86", ""),
        ("container-runtime", "conmon", ""),
    ]
]
SPARED.append(
    ("build-daemon", "turbo's daemon", {"facts": facts(name="turbo", session=TARGET.pid), "surroundings": around()})
)

CONDEMNED = [
    ("next-generation", "there before the death", {"member": member(witness=Witness.CHILD), "born": DIED - 1}),
    ("next-generation", "its birth was told", {"born": DIED + 1}),
    ("tracing", "a debugger without work", {"facts": facts(name="gdb"), "tracees": ()}),
    ("stopped-jobs", "a shell whose jobs run", {"facts": facts(name="bash"), "jobs": ()}),
    ("kept", "another is kept", {"member": member(kept=False)}),
    ("protected", "no crew's", {"names": ("gt-rig-polecat",), "world": world(protected=("gt-*-crew-*",))}),
    ("protected", "a name that only begins alike", {"world": world(protected_programs=("nod",))}),
    (
        "protected",
        "a shorter name than a pattern's first 15 letters",
        {"facts": facts(name="a-very-long"), "world": world(protected_programs=("a-very-long-program",))},
    ),
    ("unit", "the scope of its pane", {"surroundings": around(cgroup="/user.slice/tmux-spawn-1.scope")}),
    ("unit", "in the user's manager", {"surroundings": around(cgroup="/user.slice/user@1000.service/app.slice")}),
    (
        "unit",
        "where its root was",
        {"session": session(cgroup="/x/ci.service"), "surroundings": around(cgroup="/x/ci.service/sub")},
    ),
    ("on-screen", "no window", {"facts": facts(name="chromium")}),
    ("unreadable", "it was looked at", {"surroundings": around()}),
    ("serving", "nobody", {"surroundings": around(clients=(), feeder="")}),
    ("session-keeper", "less screen", {"facts": facts(name="less")}),
    (
        "editor-server",
        "node of nobody's",
        {"facts": facts(name="node"), "surroundings": around(program="/usr/bin/node")},
    ),
    ("terminal", "no terminal", {"facts": facts(name="kittens")}),
    ("user-service", "a name alike", {"facts": facts(name="ssh")}),
    ("build-daemon", "turbo at work", {"facts": facts(name="turbo")}),
    ("container-runtime", "a client", {"facts": facts(name="docker")}),
    ("not-in-ledger", "as it is", {}),
    ("owner-alive", "dead, but nobody told how", {"death": Death(DIED)}),
    ("unknown", "nobody had to ask", {"stdio": None}),
    ("identity", "the very same", {"facts": facts(id=TARGET)}),
    ("ourselves", "another group", {"facts": facts(group=US.group + 1)}),
    ("ourselves", "the next after init", {"id": ProcessId(2, 2000), "facts": facts(id=ProcessId(2, 2000))}),
    ("other-user", "ours", {"facts": facts(uid=US.uid)}),
    ("other-namespace", "lost to init", {"facts": facts(parent=1)}),
    ("kernel-thread", "a name in brackets", {"facts": facts(name="[kworker]")}),
    ("living-session", "another is a root", {"world": world(roots={SERVER: INNER})}),
    ("inner-session", "its birth was seen", {"member": left(), "world": INSIDE}),
    ("inner-session", "it has not lost its parent", {"member": member(witness=Witness.LOOK), "world": INSIDE}),
    (
        "inner-session",
        "it was seen under the parent that it has lost since",
        {"member": member(left=Departure(DIED - 5, None), witness=Witness.LOOK, since=DIED - 9), "world": INSIDE},
    ),
    ("inner-session", "no session inside lives", {"member": FOUNDLING, "world": world(roots={SERVER: INNER})}),
    ("tmux-server", "a tmux client", {"facts": facts(name="tmux: client")}),
    (
        "tmux-server",
        "the server of its own dead Overmind",
        {"facts": facts(name="tmux: server"), "session": session(Kind.OVERMIND), "member": member(manager_server=True)},
    ),
    ("live-pane", "caught by a run without an agent", {"chain": (above(US.pid), above(300, "tmux: server"))}),
    (
        "live-pane",
        "under the server of its own dead Overmind",
        {
            "session": session(Kind.OVERMIND),
            "chain": (above(300, "tmux: server", 3000),),
            "world": world(manager_servers={SERVER: session(Kind.OVERMIND).key}),
        },
    ),
    (
        "adopted",
        "fell to the subreaper of an outer run",
        {"chain": (above(300, "sentinel", 3000),), "world": world(roots={SERVER: OUTER_RUN})},
    ),
    ("adopted", "under a stranger", {"chain": (above(300, "systemd"),)}),
    ("stopped", "in an uninterruptible wait", {"facts": facts(state="D")}),
    ("nohup", "ignores the hang-up, and holds the terminal", {"facts": facts(hangup_ignored=True), "stdio": TERMINAL}),
    ("daemonised", "still a child", {"facts": facts(session=TARGET.pid)}),
    ("daemonised", "in the root's session", {"member": left()}),
    ("daemonised", "holds a terminal", {**DAEMON, "stdio": TERMINAL}),
    ("daemonised", "holds a pipe", {**DAEMON, "stdio": PIPE}),
    (
        "daemonised",
        "its parent died with the session",
        {**DAEMON, "member": left(clean=False, at=DIED - 2.0)},
    ),
    ("daemonised", "daemons are to be ended", {**DAEMON, "policy": KindPolicy(daemons=Daemons.END)}),
    (
        "daemonised",
        "a job of a tool's shell that led a session",
        {"member": left(forked_only=False), "facts": facts(session=150)},
    ),
    ("daemonised", "still the command's child at the command's end", {**DAEMON, "session": session(command=150)}),
    (
        "daemonised",
        "the same, seen under the command by a look",
        {
            **DAEMON,
            "member": member(left=Departure(DIED - 5, None), foundling=True, witness=Witness.LOOK),
            "session": session(command=150),
        },
    ),
    (
        "daemonised",
        "the command's child, seen at its birth, in a session of another",
        {"member": left(forked_only=None), "facts": facts(session=999), "session": session(command=150)},
    ),
    ("daemonised", "nobody told what its parent ran, in the root's session", {"member": left(forked_only=None)}),
    (
        "daemonised",
        "a tmux server of its own",
        {"facts": facts(session=TARGET.pid), "member": member(left=LEFT_ON_PURPOSE, manager_server=True)},
    ),
    (
        "disowned",
        "its shell was killed",
        {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid), "death": Death(DIED, 9)},
    ),
    (
        "disowned",
        "caught the hang-up",
        {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid, hangup_caught=True), "death": Death(DIED, 1)},
    ),
    (
        "disowned",
        "was handed the hang-up, and has not taken it yet",
        {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid, hangup_pending=True), "death": Death(DIED, 1)},
    ),
    (
        "disowned",
        "ignored the hang-up on its terminal",
        {
            "session": session(Kind.PANE),
            "facts": facts(session=ROOT.pid, hangup_ignored=True),
            "stdio": TERMINAL,
            "death": Death(DIED, 1),
        },
    ),
    ("disowned", "in another session", {"session": session(Kind.PANE), "death": Death(DIED, 1)}),
    ("disowned", "no pane", {"facts": facts(session=ROOT.pid), "death": Death(DIED, 1)}),
    (
        "disowned",
        "lost by a script that was killed",
        {"session": session(Kind.PANE), "facts": facts(session=ROOT.pid), "member": left(clean=False, at=DIED - 60)},
    ),
    ("policy", "left with a status", {"policy": KindPolicy(after_exit=Survivors.REPORT), "death": Death(DIED, 1 << 8)}),
    (
        "policy",
        "nobody told how it ended, and its server is dead too",
        {
            "policy": KindPolicy(after_exit=Survivors.REPORT),
            "death": Death(DIED),
            "session": session(Kind.PANE, outer=INNER.key),
        },
    ),
    ("sheltered", "under one that is not spared", {"chain": (above(300, "node", 3000),), "shelter": None}),
    *(
        ("sheltered", f"what one had borne that was spared for a time, {by}", {"member": member(heir_of=by)})
        for by in ("unknown", "unreadable", "inner-session", "serving")
    ),
    ("policy", "killed", {"policy": KindPolicy(after_exit=Survivors.REPORT), "death": Death(DIED, 1)}),
]

PANE_DEATH = {"death": Death(DIED, 1)}


def of(changes):
    """A pane's shell is hung up, unless the sample says otherwise."""
    given = changes.get("session")
    if given is not None and given.kind is Kind.PANE and "death" not in changes:
        return case(**{**changes, **PANE_DEATH})
    return case(**changes)


@pytest.mark.parametrize(("guard", "why", "changes"), SPARED, ids=[f"{g}: {w}" for g, w, _ in SPARED])
def test_mercy(guard, why, changes):
    verdict = judge(of(changes))
    assert isinstance(verdict, Spared)
    assert verdict.guard == guard
    assert verdict.reason


UNLOOKED_AT = {"it cannot be looked at"}


@pytest.mark.parametrize(("guard", "why", "changes"), SPARED, ids=[f"{g}: {w}" for g, w, _ in SPARED])
def test_without_its_guard_nothing_else_spares_it(guard, why, changes):
    verdict = judge(of(changes), [g for g in GUARDS if g.id != guard])
    if why in UNLOOKED_AT:
        assert isinstance(verdict, Spared)  # the judge itself ends nothing that it has not seen
    else:
        assert isinstance(verdict, Condemned), verdict


@pytest.mark.parametrize(("guard", "why", "changes"), CONDEMNED, ids=[f"{g}: {w}" for g, w, _ in CONDEMNED])
def test_what_comes_near_a_guard_is_condemned_all_the_same(guard, why, changes):
    assert isinstance(judge(of(changes)), Condemned)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.id)
def test_a_guard_can_be_asked_about_a_case_of_which_anything_is_missing(guard):
    member_s = (None, member(), left(clean=False), left(forked_only=None))
    owners = (None, session(), session(Kind.PANE), session(Kind.OVERMIND))
    looks = (NOT_KNOWN, Gone(), facts(name="tmux: server"), *(facts(session=sid) for sid in (90, 150, 200, ROOT.pid)))
    deaths = (None, NOT_KNOWN, Death(DIED), Death(DIED, 9))
    chains = (NOT_KNOWN, (), (above(300, "tmux: server"),))
    for its, owner, look, death, chain in product(member_s, owners, looks, deaths, chains):
        for stdio in (None, NOT_KNOWN, PIPE, TERMINAL, Stdio(terminal=False, pipe=False)):
            said = guard.speaks(case(member=its, session=owner, facts=look, death=death, chain=chain, stdio=stdio))
            assert said is None or said


def test_no_guard_is_without_samples():
    for guard in GUARDS:
        assert sum(name == guard.id for name, *_ in SPARED) >= 3, guard.id
        assert any(name == guard.id for name, *_ in CONDEMNED), guard.id
        assert guard.title


def test_the_docs_tell_of_the_guards_in_the_order_in_which_they_are_asked():
    assert re.findall(r"^\| `([\w-]+)` \|", RULES.read_text(), re.MULTILINE) == [guard.id for guard in GUARDS]


def test_each_row_of_the_never_kill_list_is_answered_by_guards_that_there_are():
    rows = re.findall(r"^\| NK(\d+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$", RULES.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 29))
    named = {name for _, answer in rows for name in re.findall(r"`([a-z]+(?:-[a-z]+)*)`", answer)}
    assert named <= {guard.id for guard in GUARDS}


def test_each_row_of_the_never_remove_list_is_answered_by_rules_that_there_are():
    rows = re.findall(r"^\| NR(\d+) \| [^|]+ \| ([^|]+) \|$", RULES.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 10))
    written = "".join(inspect.getsource(module) for module in (locks, sockets, directories))
    for name in {name for _, answer in rows for name in re.findall(r"`([a-z]+(?:-[a-z]+)*)`", answer)}:
        assert f'"{name}"' in written, name


def test_the_dead_need_no_verdict():
    assert judge(case(facts=Gone())) == Absent(TARGET)
    assert judge(case(facts=facts(state="Z"))) == Absent(TARGET)
    assert judge(case(facts=facts(state="X"))) == Absent(TARGET)


def test_another_ones_zombie_is_not_ours():
    verdict = judge(case(facts=facts(state="Z", id=ProcessId(TARGET.pid, 7))))
    assert isinstance(verdict, Spared)
    assert verdict.guard == "identity"


def test_all_objections_are_told_and_the_first_is_the_reason():
    doubtful = case(facts=facts(uid=0, state="T", parent=0))
    assert [guard.id for guard, _ in objections(doubtful)] == ["other-user", "other-namespace", "stopped"]
    assert judge(doubtful).guard == "other-user"


def test_that_it_was_daemonised_can_be_told_while_its_session_lives():
    alive = objections(case(**{**DAEMON, "member": left(clean=False)}, death=None))
    assert [guard.id for guard, _ in alive] == ["owner-alive", "daemonised"]


def test_one_that_nobody_saw_born_may_have_been_daemonised():
    found = member(parent=0, witness=Witness.SCOPE, left=Departure(DIED, clean=None))
    told = objections(case(**{**DAEMON, "member": found, "session": session(Kind.PANE)}))
    assert "daemonised" in [guard.id for guard, _ in told]


def test_evidence_tells_ownership_death_and_place():
    verdict = judge(case(member=member(left=Departure(DIED, clean=False))))
    assert isinstance(verdict, Condemned)
    told = " / ".join(verdict.evidence)
    for part in ("born of process 150", session().key, "its birth was seen", "lost", "SIGKILL", "parent 1"):
        assert part.replace("lost", "its parent ended while the session lived") in told


@pytest.mark.parametrize(
    ("wanted", "departure", "ignored"),
    [(False, None, False), (True, LEFT_ON_PURPOSE, False), (True, None, True)],
)
def test_stdio_is_asked_for_only_when_a_guard_will_ask(wanted, departure, ignored):
    assert wants_stdio(member(left=departure), facts(hangup_ignored=ignored)) is wanted
    assert wants_stdio(None, facts(hangup_ignored=ignored)) is ignored


def test_the_condemned_case_is_condemned():
    assert isinstance(judge(case()), Condemned)
    assert judge(case()).evidence


def test_nobody_is_said_to_be_disowned_whose_shell_lives():
    job = of({"session": session(Kind.PANE), "facts": facts(session=ROOT.pid), "death": None})
    assert [guard.id for guard, _ in objections(job)] == ["owner-alive"]
