"""Foreign text made fit to be shown: on a terminal, in a log, in a notification.

Names, arguments and paths belong to strangers. A process may call itself an escape sequence
that clears the screen, a line feed that forges a record, or a right-to-left mark that shows
``txt.exe`` for ``exe.txt``. Every such character becomes text that shows what it is.
"""

from __future__ import annotations

import re

_BANNED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 with tab and line feed, DEL, C1: terminals obey them
    "\u2028\u2029"  # line and paragraph separator: some readers of lines break there
    # Format characters (Unicode category Cf): bidirectional marks, zero-width, tags
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "\ud800-\udfff"  # halves of a pair: they cannot be encoded at all
    "]"
)
_BYTE = 0xDC00
"""What the ``surrogateescape`` error handler adds to a byte that is no UTF-8."""
_CUT = "…"


def clean(text: str | bytes, limit: int = 200) -> str:
    r"""Make ``text`` visible and harmless.

    Control, format and separator characters and lone surrogates become ``\xNN``,
    ``\uXXXX`` or ``\UXXXXXXXX``, as text. Bytes are read as UTF-8; one that is none becomes
    ``\xNN``, and so does one that ``os.fsdecode`` has hidden in a surrogate. What is clean
    comes back as it is, so that cleaning twice is cleaning once; for the same reason a
    backslash stays alone.

    Args:
        text: Anything. Nothing raises.
        limit: Characters at most, at least 1. A longer text ends in ``…``; no escape is cut through.
    """
    if isinstance(text, bytes):
        # Four bytes a character at most: what is beyond would be cut anyway.
        text = text[: 4 * (limit + 1)].decode("utf-8", "surrogateescape")
    # Printable text holds nothing of the above (nor of much else), and this asks in C.
    if not text.isprintable():
        text = _shown(text, limit)
    return text if len(text) <= limit else text[: limit - 1] + _CUT


def _shown(text: str, limit: int) -> str:
    escaped = _BANNED.sub(_escape, text[: limit + 1])
    if len(escaped) <= limit:
        return escaped
    kept, room = [], limit - 1
    for character in text:
        piece = _BANNED.sub(_escape, character)
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + _CUT


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if _BYTE + 0x80 <= code <= _BYTE + 0xFF:
        code -= _BYTE
    if code <= 0xFF:  # noqa: PLR2004 - what one byte holds
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - what \u holds
