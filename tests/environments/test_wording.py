from __future__ import annotations

import pytest

from sentinel.environments.project import Project
from sentinel.environments.wording import command


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / "the shop"
    (directory / "app" / "inner").mkdir(parents=True)
    for project in (directory, directory / "app" / "inner"):
        (project / "Procfile").write_text("web: sleep 1\n")
    return Project("shop", str(directory))


@pytest.mark.parametrize(
    ("folder", "inside"), [("the shop", True), ("the shop/app", True), ("the shop/app/inner", False), (".", False)]
)
def test_what_to_type_depends_on_where_we_are(shop, tmp_path, monkeypatch, folder, inside):
    monkeypatch.chdir(tmp_path / folder)
    assert command("stop", shop) == "sentinel stop" + f" '{shop.directory}'" * (not inside)
    assert command("logs", shop) == "sentinel logs" + f" --project '{shop.directory}'" * (not inside)
