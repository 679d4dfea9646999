"""Who is spared, and why.

A guard is a function from a case to the sentence that spares the process, or None. One
that cannot know says so, and that spares too. The rows in brackets are those of the
never-kill list in docs/safety.md; each guard has a mercy test in tests/core/test_guards.py
that fails when the guard is taken out of ``GUARDS``.
"""

from __future__ import annotations

from sentinel.core.guards.case import TMUX_SERVER, Case, Guard, Ourselves, World, wants_stdio
from sentinel.core.guards.living import adopted, inner_session, live_pane, living_root, sheltered, stopped, tmux_server
from sentinel.core.guards.whose import (
    identity_changed,
    kernel_thread,
    not_in_ledger,
    other_namespace,
    other_user,
    ourselves,
    owner_lives,
    unknown_witness,
)
from sentinel.core.guards.wishes import CASCADE_SECONDS, daemonised, disowned, nohup, policy_reports

__all__ = [
    "CASCADE_SECONDS",
    "GUARDS",
    "TMUX_SERVER",
    "Case",
    "Guard",
    "Ourselves",
    "World",
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
    Guard("living-session", "a living session of its own", living_root),
    Guard("inner-session", "perhaps the work of a living session inside", inner_session),
    Guard("tmux-server", "tmux servers", tmux_server),
    Guard("live-pane", "under a pane of a living tmux server", live_pane),
    Guard("adopted", "under another living session", adopted),
    Guard("stopped", "stopped or traced", stopped),
    Guard("nohup", "started with nohup", nohup),
    Guard("daemonised", "daemonised on purpose", daemonised),
    Guard("disowned", "disowned by its shell", disowned),
    Guard("policy", "the person wants a report only", policy_reports),
    Guard("sheltered", "under a process that is spared", sheltered),
)
