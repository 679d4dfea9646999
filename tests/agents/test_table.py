"""The table, and the page that shows it."""

from __future__ import annotations

from pathlib import Path

from sentinel.agents.table import AGENTS

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"


def shown(names):
    return ", ".join(f"`{name}`" for name in names) or "-"


def test_the_page_shows_each_agent_as_the_table_has_it():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    table = [(a.name, shown(a.commands), shown(a.packages), shown(a.helpers)) for a in AGENTS]
    assert rows == [f"| {' | '.join(row)} |" for row in table]
