from __future__ import annotations

import os
import stat

import pytest

from sentinel.atomic import replace_file


@pytest.mark.parametrize("sync", [True, False])
def test_what_was_there_is_replaced_and_nothing_else_is_left(tmp_path, sync):
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    with path.open() as reader:
        replace_file(path, b"now", sync=sync)
        assert reader.read() == "before"
    assert path.read_text() == "now"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_where_it_cannot_be_put_in_place_nothing_changes(tmp_path):
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(path, b"now")
    assert os.listdir(tmp_path) == ["file"]
