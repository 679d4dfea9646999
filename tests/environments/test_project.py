import os

import pytest

from sentinel.environments.project import at, find, innermost, known
from sentinel.errors import ConfigError, NoSuchThing


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SENTINEL_CONFIG_DIR", str(tmp_path / "config" / "sentinel"))
    return tmp_path


@pytest.fixture
def shop(home):
    shop = home / "shop"
    shop.mkdir()
    (shop / "Procfile").write_text("web: rackup -p $PORT\nfront: vite --port 5175\n")
    return shop


def test_a_procfile_alone_tells_enough(shop):
    project = find(str(shop))
    assert (project.name, project.directory) == ("shop", str(shop))
    assert project.ports == (5000, 5175)
    assert project.given == {"web": 5000, "front": 5175}
    assert project.socket == f"{shop}/.overmind.sock"
    assert project.titles == {"shop"}


@pytest.mark.parametrize("text", ["web: rackup -p $PORT\n", "garbage\n"])
def test_a_procfile_that_is_not_run_says_nothing_of_what_runs(shop, text):
    (shop / "Procfile").write_text(text)
    (shop / "sentinel.toml").write_text('[project]\nstart = "sleep 60"\nports = [4000]\n')
    project = find(str(shop))
    assert (project.ports, project.processes) == ((4000,), {})


def test_overminds_own_settings_count(shop):
    (shop / ".env").write_text("PORT=4000\nOVERMIND_TITLE=Never\n")
    (shop / ".overmind.env").write_text("OVERMIND_TITLE='My Shop'\nOVERMIND_SOCKET=var/o.sock\nOVERMIND_PORT=3000\n")
    project = find(str(shop))
    assert project.name == "My Shop"
    assert project.titles == {"my-shop", "shop"}
    assert project.socket == f"{shop}/var/o.sock"
    assert project.given["web"] == 3000


def test_a_socket_outside_of_the_project_is_not_believed(shop):
    (shop / ".overmind.env").write_text("OVERMIND_SOCKET=../../run/docker.sock\n")
    assert find(str(shop)).socket == f"{shop}/.overmind.sock"


def test_what_the_project_file_says_comes_first_and_its_ports_beside_the_others(shop):
    (shop / "sentinel.toml").write_text('[project]\nname = "store"\nports = [3001]\npatterns = ["rack(up)?"]\n')
    project = find(str(shop))
    assert project.name == "store"
    assert project.ports == (3001, 5000, 5175)
    assert project.grounds.patterns[0].search("rackup")


def test_it_is_found_from_below_and_the_nearest_one_is_meant(shop):
    below = shop / "app" / "models"
    below.mkdir(parents=True)
    assert find(str(below)).directory == str(shop)
    (shop / "app" / "Procfile").write_text("web: true\n")
    assert find(str(below)).directory == str(shop / "app")
    assert innermost(str(below), str(shop)) == str(shop / "app")
    assert innermost(str(shop), str(shop)) == str(shop)
    assert innermost("/elsewhere", str(shop)) == ""


def test_the_home_directory_is_no_project_nor_what_is_above(home):
    (home / "Procfile").write_text("web: true\n")
    (home / "src").mkdir()
    for place in (home, home / "src"):
        with pytest.raises(NoSuchThing, match="there is no project in"):
            find(str(place))


def test_the_users_own_configuration_makes_no_project(home):
    config = home / "config" / "sentinel"
    config.mkdir(parents=True)
    (config / "sentinel.toml").write_text('mode = "observe"\n')
    assert at(str(config)) is None


@pytest.mark.skipif(os.getuid() != 0, reason="missing: root (to give a directory away)")
def test_somebody_elses_directory_is_no_project_of_ours(shop):
    os.chown(shop, 65534, 65534)
    assert at(str(shop)) is None


def test_what_cannot_be_used_is_refused(shop):
    (shop / "sentinel.toml").write_text('[project]\nprocfile = "Procfile.dev"\n')
    with pytest.raises(ConfigError, match=r"there is no Procfile at .*Procfile\.dev"):
        find(str(shop))
    (shop / "Procfile.dev").write_text("nothing\n")
    with pytest.raises(ConfigError, match="NAME: COMMAND"):
        find(str(shop))


def test_its_id_is_its_directorys(shop):
    before = find(str(shop)).id
    (shop / "sentinel.toml").write_text('[project]\nname = "store"\n')
    assert find(str(shop)).id == before
    os.rename(shop, shop.parent / "other")
    assert find(str(shop.parent / "other")).id != before


def test_all_else_is_known_of_a_project_whose_procfile_is_broken(shop):
    (shop / "Procfile").write_text("garbage\n")
    (shop / "sentinel.toml").write_text('[project]\nname = "Store"\nports = [4000]\nprotected = ["postgres"]\n')
    project = known(str(shop))
    assert project.trouble == f"{shop}/Procfile: no line of it reads NAME: COMMAND"
    assert (project.name, project.ports, project.wishes.protected) == ("Store", (4000,), ("postgres",))
    with pytest.raises(ConfigError, match="no line of it reads"):
        at(str(shop))


def test_of_a_project_file_that_is_broken_nobody_knows_what_it_protects(shop):
    (shop / "sentinel.toml").write_text("[project]\nprotect = 1\n")
    with pytest.raises(ConfigError, match="unknown key"):
        known(str(shop))
