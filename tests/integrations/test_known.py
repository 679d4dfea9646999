from __future__ import annotations

import pytest

from sentinel.integrations.known import INTEGRATIONS, integration


@pytest.mark.parametrize("name", INTEGRATIONS)
def test_each_name_in_the_table_is_an_integration(name):
    its = integration(name)
    assert its.name == name
    assert all(callable(getattr(its, what)) for what in ("install", "uninstall", "status"))
