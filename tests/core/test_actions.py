from __future__ import annotations

import pytest

from sentinel.core.actions import Outcome, Result


@pytest.mark.parametrize("result", Result)
def test_only_what_was_kept_is_to_be_looked_at_again(result):
    assert Outcome("/run/x.sock", result).is_done is (result is not Result.KEPT)
