"""The agent's file source alone in a loop: says when it was told what.

    files_probe.py DIRECTORY

Says "ready"; when its input is closed it prints what it was told: NAME NS, one a line.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from sentinel.bus import Bus
from sentinel.core.events import FileChanged
from sentinel.sources.files import FileSource


async def main(directory: str) -> None:
    """Listen until standard input is closed."""
    loop, dismissed = asyncio.get_running_loop(), asyncio.Event()
    bus = Bus(lambda _event, cause: cause)
    seen: list[tuple[str, int]] = []
    bus.subscribe(FileChanged, lambda event: seen.append((event.path, time.monotonic_ns())))
    source = FileSource(bus, loop)
    source.start()
    source.watch(directory)
    loop.add_reader(0, dismissed.set)
    print("ready", flush=True)
    await dismissed.wait()
    source.stop()
    for path, at in seen:
        print(os.path.basename(path), at)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
