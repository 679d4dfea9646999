import pytest

from sentinel.environments.exclusion import alone
from sentinel.environments.project import Project
from sentinel.locks import LockHeld
from sentinel.paths import Paths

SHOP, FORUM = Project("shop", "/home/you/shop"), Project("forum", "/home/you/forum")


def test_the_second_one_hears_who_the_first_is_and_another_project_is_free(tmp_path):
    where = Paths(tmp_path, tmp_path, tmp_path)
    with alone(where, SHOP, "start", 0):
        with pytest.raises(LockHeld, match=r"shop is being changed by process \d+, session sentinel start already"):
            alone(where, SHOP, "stop", 0.05).__enter__()
        with alone(where, FORUM, "stop", 0):
            pass
    with alone(where, SHOP, "stop", 0):
        pass
