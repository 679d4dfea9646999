"""The manual pages, made of what each command says of itself: sentinel(1), one for each verb, and sentinel.toml(5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from sentinel import __version__

_FILES = {
    "~/.config/sentinel/sentinel.toml": "Your wishes: all that can be said there is in sentinel.toml(5).",
    "~/.local/state/sentinel/events.jsonl": "The journal: one JSON object a line.",
}
_CONFIGURATION = """\
It lies in ~/.config/sentinel ($XDG_CONFIG_HOME); on macOS in ~/Library/Application Support/sentinel;
with SENTINEL_CONFIG_DIR in that directory. Everything has a default; without a file the defaults hold.

An error is one line with file and line number, and the agent does not start (exit status 78). The file
decides what is ended: one that others can write is refused.

The agent reads it at its start, and once more at: sentinel service reload, or SIGHUP.

Below is everything that can be said. What names things of yours (project, protect, locks) is an example;
the rest are the defaults.
"""
_STATUSES = (
    ("0", "Done, or all is well."),
    ("1", "Not done, or not all is well; nothing is known of what was asked for."),
    ("2", "Wrong usage."),
    ("3", "No agent runs."),
    ("78", "The configuration cannot be used."),
    ("130", "Ctrl-C."),
)


def pages() -> dict[str, str]:
    """Every page by the name of its file, which ends in its section, in the language of man(7)."""
    from sentinel.cli import sentinel

    return {**dict(_of(sentinel, "sentinel", None)), "sentinel.toml.5": _of_the_configuration()}


def sample() -> str:
    """A configuration in which everything is said that can be said. For people: as it is, nobody wants it."""
    return (Path(__file__).parents[1] / "sentinel.toml").read_text(encoding="utf-8")


def _of_the_configuration() -> str:
    lines = [
        f'.TH "SENTINEL.TOML" "5" "" "Sentinel {__version__}" "Sentinel"',
        ".SH NAME",
        "sentinel.toml \\- your wishes for Sentinel",
        ".SH DESCRIPTION",
        *_paragraphs(_CONFIGURATION),
        ".SH EXAMPLE",
        ".nf",
        *map(_text, sample().splitlines()),
        ".fi",
        ".SH SEE ALSO",
        ".BR sentinel (1)",
    ]
    return "\n".join(lines) + "\n"


def _of(command: click.Command, name: str, above: click.Context | None) -> Iterator[tuple[str, str]]:
    context = click.Context(command, parent=above, info_name=name, **command.context_settings)
    title = context.command_path.replace(" ", "-")
    yield f"{title}.1", _page(command, context, title)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            inner = command.get_command(context, verb)
            if inner is not None and not inner.hidden:
                yield from _of(inner, verb, context)


def _page(command: click.Command, context: click.Context, title: str) -> str:
    whole = (command.help or command.short_help or "").split("\f")[0].strip()
    summary = re.split(r"\.\s|\.$|\n\n", whole, maxsplit=1)[0]
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{title.upper()}" "1" "" "Sentinel {__version__}" "Sentinel"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(_in_a_line(summary))}",
        ".SH SYNOPSIS",
        f".B {_text(context.command_path)}",
        _text(usage),
        ".SH DESCRIPTION",
        *_paragraphs(whole),
        *_section("OPTIONS", _options(command, context)),
        *_section("COMMANDS", _commands(command, context)),
    ]
    if context.parent is None:
        lines += _section("EXIT STATUS", _STATUSES)
        lines += _section("FILES", tuple(_FILES.items()))
    elif context.parent.info_name:
        lines += [".SH SEE ALSO", f".BR {_text(context.parent.command_path.replace(' ', '-'))} (1)"]
    return "\n".join(lines) + "\n"


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    rows = (parameter.get_help_record(context) for parameter in command.get_params(context))
    return [row for row in rows if row and row[1]]


def _commands(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    if not isinstance(command, click.Group):
        return []
    told = ((verb, command.get_command(context, verb)) for verb in command.list_commands(context))
    path = context.command_path.replace(" ", "-")
    return [
        (f"{path}-{verb}(1)", inner.get_short_help_str(limit=200)) for verb, inner in told if inner and not inner.hidden
    ]


def _section(name: str, rows: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    lines = [f".SH {name}"]
    for term, meaning in rows:
        lines += [".TP", f"\\fB{_text(term)}\\fR", _text(_in_a_line(meaning))]
    return lines


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):  # click's mark for lines that are to stay as they are
            yield ".nf"
            yield from (_text(line.strip()) for line in paragraph.splitlines()[1:])
            yield ".fi"
        else:
            yield _text(_in_a_line(paragraph))


def _in_a_line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """As roff takes it: no control character at a line's beginning, hyphens that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
