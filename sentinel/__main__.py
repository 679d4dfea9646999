"""``python -m sentinel``, and what the ``sentinel`` script calls."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line. A coding agent's hook has no time for it, and goes its own way."""
    if sys.argv[1:2] == ["hook"]:
        from sentinel.hook import tell

        tell(sys.argv[2:])
        return 0
    from sentinel.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
