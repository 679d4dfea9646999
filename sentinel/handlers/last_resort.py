"""Sees that nothing goes on forking where a ``sentinel run`` had made a control group for its command."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from sentinel.bus import Bus
from sentinel.core.events import CleanedUp, SessionClosed, SessionDied
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.scopes import is_of
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.later import Later
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.rounds import SECOND_LOOKS
from sentinel.handlers.scopes import Scopes
from sentinel.handlers.second_look import at_what_is_left
from sentinel.journal import Journal
from sentinel.reaper import groups

_AFTER_THE_GRACE = 0.5
"""Seconds that SIGKILL has for those that it can reach one by one."""


class LastResort:
    """Looks once more at the group of a dead run, after the grace, and takes it away at the end.

    Args:
        catch_up: Publishes what the kernel has told up to now.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        examiner: Examiner,
        scopes: Scopes,
        restraint: Restraint,
        journal: Journal,
        policy: Callable[[], Policy],
        catch_up: Callable[[], None],
        later: Later,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._examiner = examiner
        self._scopes = scopes
        self._restraint = restraint
        self._journal = journal
        self._policy = policy
        self._catch_up = catch_up
        self._later = later
        bus.subscribe(SessionDied, self.died)
        bus.subscribe(SessionClosed, lambda event: groups.remove(event.session.root, event.session.scope))

    def died(self, event: SessionDied) -> None:
        """Its clean-up has begun; whoever is there after it is one that cannot be caught."""
        session = event.session
        if is_of(session.root, session.scope):
            grace = self._policy().of(session.kind, session.directory).grace
            self._later(grace + _AFTER_THE_GRACE, self.look, session.key, self._bus.current)

    def look(self, key: str, cause: int, again: tuple[float, ...] = SECOND_LOOKS) -> None:
        """Kill the group if it is still lived in, and nothing speaks for anybody there.

        Of one that is replacing its program just then nobody can tell, and where things fork without
        end there is often such a one: so the group is looked at ``again``, after so many seconds each.
        """
        record = self._ledger.record(key)
        if record is None or record.death is None or self._restraint.held():
            return
        began = time.monotonic()
        self._scopes.complete(record)
        look_again = partial(at_what_is_left, record, self._examiner, self._restraint, self._catch_up)
        outcomes, intent = groups.end(
            record.session,
            look_again,
            held=self._restraint.held,
            journal=self._journal,
            cause=cause,
        )
        if outcomes:
            self._bus.publish(CleanedUp(record.session, outcomes, time.monotonic() - began, intent), cause)
        elif again:
            self._later(again[0], self.look, key, cause, again[1:])
