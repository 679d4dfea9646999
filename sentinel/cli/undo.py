"""``sentinel undo``: what was removed is there again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sentinel import clocks, paths
from sentinel.cli import screen
from sentinel.core.sanitise import clean
from sentinel.errors import NoSuchThing

if TYPE_CHECKING:
    from sentinel.reaper.returns import Kept


@click.command("undo")
@click.argument("what", metavar="[ID|PATH]", required=False)
@click.option("--list", "only_list", is_flag=True, help="Show what can be put back.")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def command(what: str | None, *, only_list: bool, as_json: bool) -> None:
    """Put back what Sentinel removed: by default the last thing, within 24 hours.

    Nothing is overwritten. Sentinel does not remove the same thing once more for a day.

    Exit status: 1 there is no such thing, or its place is taken by now.
    """
    from sentinel.reaper import returns
    from sentinel.reaper.quarantine import moment

    where = paths.find()
    kept = returns.kept(where.quarantine, moment())
    found = _matching(kept, what) if what else kept
    if only_list:
        _list(found, as_json=as_json)
        return
    if not found:
        raise NoSuchThing(f"nothing called {clean(what)} was removed lately" if what else "nothing was removed lately")
    it = found[-1]
    try:
        returns.put_in_place(where.quarantine, it)
    except returns.CannotReturn as error:
        raise returns.CannotReturn(
            f"{clean(it.path)} stays in quarantine ({it.id}): {clean(str(error), 400)}"
        ) from error
    _record(where, it)
    click.echo(json.dumps(_data(it)) if as_json else f"{clean(it.path)} is there again.")


def _matching(kept: Sequence[Kept], what: str) -> list[Kept]:
    """By id, or a beginning of one that is not ambiguous; by path, the last one of it."""
    path = os.path.abspath(what)
    by_path = [it for it in kept if it.path == path]
    by_id = [it for it in kept if it.id.startswith(what)]
    if len(by_id) > 1 and not by_path:
        raise NoSuchThing(f"{clean(what)} may be any of {len(by_id)}: sentinel undo --list shows them")
    return by_path or by_id


def _record(where: paths.Paths, it: Kept) -> None:
    from sentinel.core.events import FileReturned
    from sentinel.journal import Journal
    from sentinel.observe import processes

    journal = Journal(where.journal, processes.boot_id())
    journal.record(FileReturned(it.path, it.at))
    journal.close()


def _list(kept: Sequence[Kept], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_data(it) for it in kept]))
        return
    if not kept:
        click.echo("Nothing was removed lately.")
    for it in kept:
        when = clocks.day_and_time(it.at)
        why = f"  {clean(it.why[0], 200)}" if it.why else ""
        screen.say(f"{it.id}  {when}  {clean(it.path, 400)} ({it.kind}){why}")


def _data(it: Kept) -> dict[str, object]:
    return {
        "id": it.id,
        "path": clean(it.path, 4096),
        "kind": clean(it.kind),
        "why": [clean(reason) for reason in it.why],
        "at": it.at,
    }
