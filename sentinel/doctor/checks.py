"""Everything that `sentinel doctor` looks at, in the order in which it is told."""

from __future__ import annotations

from sentinel.doctor import of_hooks, of_host, of_leftovers, of_notifications, of_service, of_state, of_tmux
from sentinel.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    Check("agent", "Sentinel", "the agent runs, and hears of everything", of_host.agent),
    Check("configuration", "Sentinel", "the configuration can be used", of_host.configuration),
    Check("crashes", "Sentinel", "it did not crash", of_service.crashed),
    Check("service", "Sentinel", "the service, if it is installed, serves", of_service.installed),
    Check("linger", "Sentinel", "what lives on after your log-out is watched", of_service.lingers),
    Check("places", "Sentinel", "what is done can be written down", of_host.places),
    Check("registry", "Sentinel", "sessions can register", of_state.registry),
    Check("spool", "Sentinel", "hooks can leave their words, and these are read", of_state.spool),
    Check("runs", "Sentinel", "every `sentinel run` can be recognised", of_state.runs),
    Check("notifications", "Sentinel", "you can be told", of_notifications.notifications),
    Check("hooks", "Sentinel", "hooks of coding agents, if you have them, are run", of_hooks.of_agents),
    Check("limits", "Machine", "there are enough watches and descriptors", of_host.limits),
    Check("tmux-unreachable", "tmux", "every server can be reached", of_tmux.unreachable),
    Check("tmux-hooks", "tmux", "every server has the hooks, if you want them", of_hooks.of_tmux),
    Check("tmux-orphaned", "tmux", "no session was left behind by what made it", of_tmux.orphaned),
    Check("agents", "Processes", "no coding agent lost its terminal", of_leftovers.agents),
    Check("processes", "Processes", "no process was left behind", of_leftovers.processes),
    Check("ports", "Processes", "no port is held by what was left behind", of_leftovers.ports),
    Check("sockets", "Files", "no socket was left behind", of_leftovers.stale),
    Check("locks", "Files", "no lock was left behind", of_leftovers.locks),
)
