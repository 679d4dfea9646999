"""Text that arrives as it was meant, whatever names are in it.

A body is markup for the desktop that shows it, an argument for notify-send, and both have
been used for attacks (KDE loaded `<img src=...>` from afar, CVE-2018-6790). Escaping as
`&lt;` would need to know whether the server reads markup: those that do not show the
escapes. Signs that look alike mean the same to a person and nothing to any server.
"""

from __future__ import annotations

from sentinel.core.sanitise import clean

APPLICATION = "Sentinel"
TITLE_LIMIT = 60
BODY_LIMIT = 400
LINES_LIMIT = 8
_HARMLESS = str.maketrans(
    {
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "&": "+",  # what looks more like it is in few fonts, and a box tells nothing
    }
)


def title(text: str) -> str:
    """One line that starts with our name, so that it is never empty and never an option."""
    if not text.startswith(APPLICATION):
        text = f"{APPLICATION}: {text}" if text else APPLICATION
    return clean(text, TITLE_LIMIT).translate(_HARMLESS)


def body(text: str) -> str:
    """At most `LINES_LIMIT` lines and `BODY_LIMIT` characters, none of which does anything."""
    lines = text[: 2 * BODY_LIMIT].split("\n")
    if len(lines) > LINES_LIMIT:
        lines[LINES_LIMIT - 1 :] = ["…"]
    shown = "\n".join(clean(line, BODY_LIMIT) for line in lines).translate(_HARMLESS)
    if shown.startswith("-"):
        shown = f" {shown}"
    return shown if len(shown) <= BODY_LIMIT else f"{shown[: BODY_LIMIT - 1]}…"
