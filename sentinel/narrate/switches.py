"""What a person has switched, and what Sentinel has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sentinel.clocks import day_and_time
from sentinel.narrate.words import Data, pid


def _paused(data: Data) -> str:
    if data["until"] is None:
        return "Sentinel is paused: nothing is ended until `sentinel resume`"
    return f"Sentinel is paused until {day_and_time(data['until'])}: nothing is ended"


def _pause_ran_out(data: Data) -> str:
    held = f"nothing is ended all the same: {data['why_held']}" if data["why_held"] else "Sentinel acts again"
    return f"the pause ran out at {day_and_time(data['at'])}; {held}"


def _went_on(data: Data) -> str:
    return f"Sentinel acts again. It was held until now: {data['why_held']}"


def _keep_said(data: Data) -> str:
    name = f" ({data['name']})" if data["name"] else ""
    what = f"session {data['session']}" if data["session"] else f"{pid(data['process'])}{name}"
    return f"{what} is kept, with all that it bears" if data["kept"] else f"{what} is kept no more"


def _breaker_opened(data: Data) -> str:
    return f"Sentinel stops itself until `sentinel resume`, and only reports: {data['why']}"


SENTENCES: Mapping[str, Callable[[Data], str]] = {
    "switch.paused": _paused,
    "switch.expired": _pause_ran_out,
    "switch.resumed": _went_on,
    "switch.keep": _keep_said,
    "breaker.opened": _breaker_opened,
}
