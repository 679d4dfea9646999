from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(script):
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=60)


def test_asyncio_works_without_ssl_and_who_wants_that_later_has_it():
    run(
        "from sentinel.lean import without\n"
        "with without('ssl'):\n"
        "    import asyncio\n"
        "import sys\n"
        "assert 'ssl' not in sys.modules\n"
        "async def talk():\n"
        "    server = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n"
        "    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
        "    assert await reader.read() == b''\n"
        "    writer.close(); server.close()\n"
        "asyncio.run(talk())\n"
        "import ssl\n"
        "ssl.create_default_context()\n"
    )


def test_what_was_imported_before_stays():
    run(
        "import ssl, sys\n"
        "from sentinel.lean import without\n"
        "with without('ssl'):\n"
        "    assert sys.modules['ssl'] is ssl\n"
        "assert sys.modules['ssl'] is ssl\n"
    )


def test_it_is_there_again_after_an_error():
    run(
        "from sentinel.lean import without\n"
        "try:\n"
        "    with without('ssl'):\n"
        "        import ssl\n"
        "except ImportError:\n"
        "    import ssl\n"
        "else:\n"
        "    raise AssertionError\n"
    )
