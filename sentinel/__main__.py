"""``python -m sentinel``, and what the ``sentinel`` script calls."""

from __future__ import annotations

import sys

from sentinel.cli import main

if __name__ == "__main__":
    sys.exit(main())
