"""Who is spared, and why.

A guard is a function from a case to the sentence that spares the process, or None. One
that cannot know says so, and that spares too. The rows in brackets are those of the
never-kill list in docs/rules.md; each guard has a mercy test in tests/core/test_guards.py
that fails when the guard is taken out of ``GUARDS``.
"""

from __future__ import annotations

from sentinel.core.guards.around import on_screen, serving, unit, unreadable
from sentinel.core.guards.case import TMUX_SERVER, Case, Guard, Ourselves, World, wants_stdio
from sentinel.core.guards.known import (
    build_daemon,
    container_runtime,
    editor_server,
    no_kill,
    session_keeper,
    terminal,
    user_service,
)
from sentinel.core.guards.living import (
    adopted,
    inner_session,
    live_pane,
    living_root,
    sheltered,
    stopped,
    stopped_jobs,
    tmux_server,
    tracing,
)
from sentinel.core.guards.whose import (
    identity_changed,
    kernel_thread,
    next_generation,
    not_in_ledger,
    other_namespace,
    other_user,
    ourselves,
    owner_lives,
    unknown_witness,
    wants_birth,
)
from sentinel.core.guards.wishes import (
    CASCADE_SECONDS,
    daemonised,
    disowned,
    kept,
    nohup,
    policy_reports,
    protected,
)

__all__ = [
    "CASCADE_SECONDS",
    "FIRST_LOOK",
    "GUARDS",
    "SECOND_LOOK",
    "SERVING",
    "SHELTERED",
    "TMUX_SERVER",
    "UNANSWERED",
    "Case",
    "Guard",
    "Ourselves",
    "World",
    "no_kill",
    "wants_birth",
    "wants_stdio",
]

GUARDS: tuple[Guard, ...] = (
    Guard("not-in-ledger", "not born of a watched session", not_in_ledger),
    Guard("owner-alive", "its session lives", owner_lives),
    Guard("unknown", "a witness did not answer", unknown_witness),
    Guard("identity", "the pid is another process now", identity_changed),
    Guard("ourselves", "Sentinel and its ancestors", ourselves),
    Guard("other-user", "another user's process", other_user),
    Guard("other-namespace", "containers", other_namespace),
    Guard("kernel-thread", "kernel threads", kernel_thread),
    Guard("next-generation", "born after the death", next_generation),
    Guard("living-session", "a living session of its own", living_root),
    Guard("inner-session", "perhaps the work of a living session inside", inner_session),
    Guard("tmux-server", "tmux servers", tmux_server),
    Guard("live-pane", "under a pane of a living tmux server", live_pane),
    Guard("adopted", "under another living session", adopted),
    Guard("stopped", "stopped or traced", stopped),
    Guard("tracing", "debuggers at work", tracing),
    Guard("stopped-jobs", "parents of stopped jobs", stopped_jobs),
    Guard("kept", "somebody wants it kept", kept, dear=True),
    Guard("protected", "protected sessions and programs", protected),
    Guard("nohup", "started with nohup", nohup),
    Guard("daemonised", "daemonised on purpose", daemonised),
    Guard("disowned", "disowned by its shell", disowned),
    Guard("policy", "the person wants a report only", policy_reports),
    Guard("session-keeper", "screen, sshd and their kind", session_keeper, dear=True),
    Guard("editor-server", "servers of editors", editor_server, dear=True),
    Guard("terminal", "terminal emulators and applications", terminal, dear=True),
    Guard("user-service", "services that a user has one of", user_service, dear=True),
    Guard("build-daemon", "build daemons", build_daemon, dear=True),
    Guard("container-runtime", "what stands over containers", container_runtime, dear=True),
    Guard("unit", "a unit of its own", unit, dear=True),
    Guard("on-screen", "on a display", on_screen, dear=True),
    Guard("unreadable", "nobody may look into it", unreadable, dear=True),
    Guard("serving", "working for somebody who lives", serving, dear=True),
    Guard("sheltered", "under a process that is spared", sheltered),
)

UNANSWERED = frozenset({"unknown", "unreadable"})
"""Guards that speak for want of an answer, which may come yet."""
SHELTERED = "sheltered"
SERVING = "serving"
"""The guard that is silent again when a client has gone."""
FIRST_LOOK = tuple(guard for guard in GUARDS if not guard.dear)
"""Those that need no ``Surroundings``: only whom none of them spares is looked at again."""
SECOND_LOOK = tuple(guard for guard in GUARDS if guard.dear)
