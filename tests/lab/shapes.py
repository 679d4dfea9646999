"""What grows on the trees of ``trees.py``: one function a shape, each with its truth.

A shape is given the spot under which it grows. Whatever it puts there gets its fate from
``Tree.dwell``: that its session lives, a mercy of its own, the shelter of the spot, or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.lab.trees import AGENTS, KILLED, PROGRAMS, WORDS, Session, Spot, Tree

Shape = Callable[[Tree, Spot], None]
DAEMON = "daemonised: it left its parent while the session lived, with a session of its own, and holds nothing of it"
NOHUP = "nohup: it ignores the hang-up and holds no terminal"


def sprout(tree: Tree, spot: Spot, node: int, shape: str, mercy: str = "", **more: bool) -> None:
    """A process that has got so far is written down, bears what may hang under it, and is ready."""
    here = tree.dwell(spot, node, shape, mercy, **more)
    grow(tree, here)
    tree.is_ready(node)


# -- what hangs under whoever bore it: still a child at the death, so it is ended ---------------


def plain(tree: Tree, spot: Spot) -> None:
    """A child like any other."""
    sprout(tree, spot, tree.bear(spot, tree.be()), "plain")


def fork_only(tree: Tree, spot: Spot) -> None:
    """It never becomes another program."""
    if spot.root and spot.session.kind == "agent":
        return plain(tree, spot)  # a root that exits is followed into such a child
    return sprout(tree, spot, tree.bear(spot), "fork only")


def own_session(tree: Tree, spot: Spot) -> None:
    """It leads a session and holds nothing, but it has never left its parent."""
    node = tree.bear(spot, "setsid", "lead /dev/null", tree.be())
    sprout(tree, spot, node, "setsid, still a child", doubtful=True)


def with_pipe(tree: Tree, spot: Spot) -> None:
    """A server that is spoken to through pipes."""
    sprout(tree, spot, tree.bear(spot, "lead pipe", tree.be()), "pipes")


def scrubbed(tree: Tree, spot: Spot) -> None:
    """Nothing in its environment."""
    node = tree.bear(spot)
    tree.dwell(spot, node, "empty environment")
    tree.is_ready(node)
    tree.steps(node, f"bare {tree.rng.choice(PROGRAMS)}")


def stubborn(tree: Tree, spot: Spot) -> None:
    """SIGTERM does nothing to it."""
    sprout(tree, spot, tree.bear(spot, "ignore TERM", tree.be()), "ignores SIGTERM")


def leaves_an_heir(tree: Tree, spot: Spot) -> None:
    """At SIGTERM it bears another one and ends."""
    heir = tree.node()
    node = tree.bear(spot, tree.be(), f"heir {heir}")
    here = tree.dwell(spot, node, "bears at SIGTERM")
    if not tree.actors[node].lives:
        tree.dwell(here, heir, "born in the clean-up", late=True)
    tree.is_ready(node)


def wrapper_chain(tree: Tree, spot: Spot) -> None:
    """A shell, npm, a shell, node: what ``npx`` makes of a server."""
    server, npm = tree.node(tree.be("node server.js")), tree.node("heed TERM", "be npm exec server")
    shell = tree.bear(spot, f"sh {tree.tree_of(npm)} bin/npm exec server; true")
    here = tree.dwell(spot, shell, "shell of a chain")
    tree.tells_of(npm, shell)
    inner = tree.dwell(here, npm, "npm of a chain")
    grow(tree, tree.dwell(inner, server, "node of a chain"))
    tree.is_ready(server)
    tree.steps(npm, f"bear {server}")
    tree.is_ready(npm)


def subreaper(tree: Tree, spot: Spot) -> None:
    """What its tool shell loses falls to it: both are still of the session."""
    node = tree.bear(spot, "subreaper", tree.be())
    here = tree.dwell(spot, node, "subreaper")
    between = tree.pass_on(here)
    job = tree.node()
    tree.steps(between.node, f"sh {tree.tree_of(job)} bin/server & exit 0")
    tree.dwell(here, job, "caught by a subreaper of its session")
    tree.is_ready(job)
    tree.is_ready(node)


# -- what hangs under whoever bore it, and is spared --------------------------------------------


def stopped(tree: Tree, spot: Spot) -> None:
    """Somebody may mean to continue it. (In a session of its own: else the kernel hangs up on it.)"""
    sprout(tree, spot, tree.bear(spot, "setsid", tree.be()), "stopped", "it is stopped", stopped=True)


def stopped_job(tree: Tree, spot: Spot) -> None:
    """In a group of its own, as shells make it: when its parent ends, the kernel hangs up on it."""
    shell = tree.bear(spot, tree.be())
    job = tree.bear(Spot(shell, spot.session), "setpgid", tree.be())
    here = tree.dwell(spot, shell, "has a stopped job", "it has a stopped job")
    tree.dwell(here, job, "stopped job", "it is stopped", stopped=True)
    tree.is_ready(job)
    tree.is_ready(shell)


def nohup(tree: Tree, spot: Spot) -> None:
    """Started to outlive its terminal."""
    node = tree.bear(spot, "setpgid", f"lead {tree.rng.choice(('/dev/null', f'{tree.path}.log'))}")
    tree.steps(node, f"run nohup bin/{tree.rng.choice(PROGRAMS)}")
    sprout(tree, spot, node, "nohup", NOHUP)


def kept(tree: Tree, spot: Spot) -> None:
    """Somebody said so in its environment."""
    node = tree.bear(spot, "export SENTINEL_KEEP=1", tree.be())
    sprout(tree, spot, node, "SENTINEL_KEEP", "its environment asks for it to be kept")


def container(tree: Tree, spot: Spot) -> None:
    """Whoever started it is of the session; what is inside is not to be touched."""
    inside = tree.node(tree.be())
    node = tree.bear(spot, f"sh {tree.tree_of(inside)} exec unshare -Urpf bin/server")
    here = tree.dwell(spot, node, "unshare")
    tree.tells_of(inside, node)
    sprout(tree, here, inside, "in a pid namespace", "it lives in another pid namespace")


# -- what has lost its parent when the session dies ---------------------------------------------


def daemon(tree: Tree, spot: Spot) -> None:
    """Forked twice, in a session of its own, holding nothing."""
    between = tree.pass_on(spot, "setsid")
    node = tree.bear(between, f"lead {tree.rng.choice(('/dev/null', f'{tree.path}.log'))}", tree.be())
    tree.steps(between.node, "end 0")
    sprout(tree, spot, node, "daemon", DAEMON, lost=True)


def daemon_of_a_pipe(tree: Tree, spot: Spot) -> None:
    """The same, but it holds a pipe: it was not let go on purpose."""
    between = tree.pass_on(spot, "setsid")
    node = tree.bear(between, "lead pipe", tree.be())
    tree.steps(between.node, "end 0")
    sprout(tree, spot, node, "daemon that holds a pipe", lost=True)


def half_a_daemon(tree: Tree, spot: Spot) -> None:
    """Forked twice, but never in a session of its own."""
    between = tree.pass_on(spot)
    node = tree.bear(between, "lead /dev/null", tree.be())
    tree.steps(between.node, "end 0")
    sprout(tree, spot, node, "daemon without setsid", lost=True)


def job_of_a_tool(tree: Tree, spot: Spot) -> None:
    """A tool's shell leads a session, leaves ``cmd &`` and ends."""
    job = tree.node()
    between = tree.pass_on(spot, "setsid")
    quiet = tree.rng.choice(("</dev/null >/dev/null 2>&1", ""))
    tree.steps(between.node, f"sh {tree.tree_of(job)} bin/{tree.rng.choice(PROGRAMS)} {quiet} & exit 0")
    sprout(tree, spot, job, "left by a tool's shell", lost=True)


def setsid_job_of_a_tool(tree: Tree, spot: Spot) -> None:
    """The same with ``setsid cmd &``: that is how one daemonises in a shell."""
    job = tree.node()
    between = tree.pass_on(spot)
    words = "setsid bin/server </dev/null >/dev/null 2>&1"
    tree.steps(between.node, f"sh {tree.tree_of(job)} {words} & exit 0")
    sprout(tree, spot, job, "setsid cmd & in a tool's shell", DAEMON, lost=True)


# -- at the last moment ------------------------------------------------------------------------


def last_child(tree: Tree, spot: Spot) -> None:
    """Born within the last millisecond."""
    child = tree.node()
    tree.dwell(spot, child, "born at the last moment", late=True)
    tree.breathe(spot.node, f"bear {child}")


def last_daemon(tree: Tree, spot: Spot) -> None:
    """Daemonised within the last millisecond: that is on purpose all the same."""
    _last_daemon(tree, spot, "lead /dev/null", DAEMON)


def last_daemon_of_a_pipe(tree: Tree, spot: Spot) -> None:
    """Not on purpose: it holds a pipe. (It takes hold of it before it is borne the second time.)"""
    _last_daemon(tree, spot, "lead pipe", "")


def _last_daemon(tree: Tree, spot: Spot, lead: str, mercy: str) -> None:
    child = tree.node()
    between = tree.node("setsid", lead, f"bear {child}", "end 0")
    tree.dwell(spot, child, f"daemonised at the last moment: {lead}", mercy, late=True, lost=True)
    tree.breathe(spot.node, f"bear {between}", f"reap {between}")


def killed_shell(tree: Tree, spot: Spot) -> None:
    """Its parent was killed a moment before the session: it has not daemonised anything."""
    shell = tree.bear(spot, tree.be())
    child = tree.node("setsid", "lead /dev/null", tree.be())
    tree.steps(shell, f"bear {child}")
    tree.is_ready(shell)
    tree.dwell(spot, child, "its parent was killed a moment before", lost=True)
    tree.is_ready(child)
    tree.breathe(spot.node, f"slay {shell}")


# -- jobs of a terminal that goes ----------------------------------------------------------------


def disowned(tree: Tree, spot: Spot) -> None:
    """In a group of its own, deaf to nothing, and nobody handed it the hang-up.

    If the shell was killed outright it had no chance to, and this tells nothing.
    """
    mercy = "disowned: its shell did not hand it the hang-up" if spot.session.dies != "kill" else ""
    sprout(tree, spot, tree.bear(spot, "setpgid", tree.be()), "group of its own in a pane", mercy)


def hears_hangups(tree: Tree, spot: Spot) -> None:
    """It was hung up on, and goes on."""
    node = tree.bear(spot, tree.be(), f"{tree.rng.choice(('catch', 'ignore'))} HUP")
    tree.dwell(spot, node, "lives through the hang-up, on its terminal")
    tree.is_ready(node)  # and nothing under it, for that would hold no terminal perhaps


# -- sessions within sessions --------------------------------------------------------------------


def nested_agent(tree: Tree, spot: Spot) -> None:
    """Another agent, in a session of its own or not."""
    name = tree.rng.choice([agent for agent in AGENTS if agent != spot.session.name])
    node = tree.bear(spot, "heed TERM", *tree.rng.choice((("setsid",), ())), f"be {name}")
    root(tree, spot, node, Session("agent", how(tree, 0.35), name=name))


def tmux_server(tree: Tree, spot: Spot) -> None:
    """A tmux server, on one of three kinds of sockets, with a pane."""
    pane, server, client = tree.node(), tree.node(), tree.node()
    kind = tree.rng.choice(("named", "path", "unlinked"))
    path = f"{tree.path}.sock{server}"
    if kind == "unlinked":
        tree.unlinked.append(path)
    socket = f"-L {path.rpartition('/')[2]}" if kind == "named" else f"-S {path}"
    stay = "set-option -g exit-empty off"  # a server without a pane goes by itself
    words = f"{stay} ; new-session -d env {tree.tree_of(pane)} bin/server"
    tree.steps(client, f"run tmux {socket} -f /dev/null start-server ; {words}")
    tree.steps(spot.node, f"bear {client}", f"reap {client}")
    session = Session("pane", how(tree, 0.35, "kill", "hang up", "exit"))
    if session.dies == "exit":
        session.mercy = "its pane was left in good order"
    if session.dies == "hang up":
        tree.deaths.append((server, KILLED["kill"]))
    else:
        tree.dwell(Spot(server, Session("tmux")), server, f"tmux server, {kind} socket")
    tree.tells_of(pane, server)
    root(tree, replace(spot, in_pane=spot.in_pane or session.dies != "hang up"), pane, session)


def sentinel_run(tree: Tree, spot: Spot) -> None:
    """``sentinel run``: its root is the wrapper, to which falls what the command loses."""
    command, session = tree.node(), Session("run", how(tree, 0.9, *KILLED, "exit", "fail", "breath"))
    words = " ".join((*tree.sentinel, "run", "--name", f"t{tree.seed}-{command}"))
    wrapper = tree.bear(spot, "heed TERM", f"run {words} -- env {tree.tree_of(command)} bin/server")
    tree.tells_of(command, wrapper)
    victim = tree.rng.choice((command, wrapper))
    if not session.dies:
        tree.dwell(Spot(wrapper, session), wrapper, "wrapper")
    elif session.dies in {"kill", "crash"} and victim == wrapper:  # it hands SIGTERM on
        tree.dwell(Spot(wrapper, session, caught=spot.caught), command, "command of a killed wrapper")
    root(tree, replace(spot, single=spot.in_pane), command, session, victim)


def how(tree: Tree, chance: float, *ways: str) -> str:
    """How a session dies, if it does."""
    ways = ways or (*KILLED, "exit", "fail", "breath", "breath")
    return tree.rng.choice(ways) if tree.rng.random() < chance else ""


def root(tree: Tree, spot: Spot, node: int, session: Session, victim: int = 0) -> None:
    """The root of a session (of a ``run``: its command), what grows in that, and its death."""
    here = replace(spot, node=node, session=session, shelter="", sure=True, depth=spot.depth + 1, root=True)
    if not session.dies:
        tree.dwell(here, node, f"root of a living session: {session.kind}")
    grow(tree, here)
    tree.finish(node, session, victim or node)


# -- whole trees ---------------------------------------------------------------------------------

HANGING: tuple[Shape, ...] = (
    *(plain, fork_only, own_session, with_pipe, scrubbed, stubborn, leaves_an_heir, wrapper_chain, subreaper),
    *(stopped, stopped_job, nohup, kept, container),
)
LOST: tuple[Shape, ...] = (daemon, daemon_of_a_pipe, half_a_daemon, job_of_a_tool, setsid_job_of_a_tool)
LAST: tuple[Shape, ...] = (last_child, last_daemon, last_daemon_of_a_pipe, killed_shell)
IN_A_PANE: tuple[Shape, ...] = (own_session, disowned, hears_hangups, nohup, daemon)
"""At the root of a pane that goes the kernel hangs up on the foreground, whoever that is."""
SESSIONS: tuple[Shape, ...] = (nested_agent, nested_agent, tmux_server, sentinel_run)
"""The last one is a subreaper."""
_DEEPEST = 5


def grow(tree: Tree, spot: Spot) -> None:
    """Let some shapes grow under a spot."""
    if tree.full or spot.depth > _DEEPEST:
        return
    many = tree.rng.randint(2, 4) if spot.root else tree.rng.choice((0, 0, 1, 1, 2))
    for _ in range(many):
        tree.rng.choice(_kind(tree, spot))(tree, spot)


def _kind(tree: Tree, spot: Spot) -> tuple[Shape, ...]:
    """Shapes that may grow here."""
    dice = tree.rng.random()
    if spot.root and spot.session.kind == "pane":
        return IN_A_PANE
    if spot.closed or spot.shelter:
        return HANGING
    if dice < 0.12 and not spot.single:
        return SESSIONS[:-1] if spot.caught else SESSIONS  # a wrapper would catch it first
    if spot.root and spot.session.dies in {"fail", "breath"} and dice < 0.5:
        return LAST
    return LOST if dice < 0.6 else HANGING


def make(seed: int, place: str, sentinel: tuple[str, ...]) -> Tree:
    """The tree of this seed: bystanders, sessions, and somebody at their head to whom falls what they lose."""
    tree = Tree(seed, place, sentinel)
    adopts = tree.rng.random() < 0.5
    head = tree.node("be systemd --user", *(("subreaper",) if adopts else ()))
    nobody = tree.dwell(Spot(head, Session("nobody")), head, "adopter" if adopts else "bystander")
    for _ in range(tree.rng.randint(1, 2)):
        sprout(tree, nobody, tree.bear(nobody, tree.be()), "bystander")
    name = tree.rng.choice(AGENTS)
    if tree.rng.random() < 0.1:
        _agent_that_catches(tree, nobody, name)
    for shape in tree.rng.choices((_agent, sentinel_run, tmux_server), (7, 1, 2), k=tree.rng.randint(1, 2)):
        shape(tree, nobody)
    tree.is_ready(head)
    return tree


def _agent(tree: Tree, spot: Spot) -> None:
    """A coding agent that dies, most of the time."""
    name = tree.rng.choice(AGENTS)
    node = tree.bear(spot, "setsid", f"be {name} {tree.rng.choice(WORDS)}".strip())
    root(tree, spot, node, Session("agent", how(tree, 0.9), name=name))


def _agent_that_catches(tree: Tree, spot: Spot, name: str) -> None:
    """A living agent that is a subreaper: what the sessions within it lose hangs under it then."""
    node = tree.bear(spot, "setsid", f"be {name}", "subreaper")
    session = Session("agent", name=name)
    here = tree.dwell(spot, node, "agent that is a subreaper")
    nested_agent(tree, Spot(node, session, depth=here.depth, caught=True))
    tree.is_ready(node)
