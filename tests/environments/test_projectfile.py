import pytest

from sentinel.environments.projectfile import Wishes, read
from sentinel.errors import ConfigError


@pytest.fixture
def said(tmp_path):
    def write(text, name="sentinel.toml"):
        path = tmp_path / name
        path.write_text(text)
        return read(path)

    return write


def test_all_that_can_be_said(said):
    text = (
        '[project]\nname = "shop"\nprocfile = "Procfile.dev"\nports = [3001, 5175]\n'
        'patterns = ["puma_server"]\nprotected = ["postgres"]\nlogs = "log"\n'
    )
    wishes = said(text)
    assert wishes == Wishes("shop", "Procfile.dev", (3001, 5175), ("puma_server",), ("postgres",), "", "log")
    assert wishes.runs_something
    assert said(f"# spaces and comments\n\n{text}").normal == wishes.normal
    assert not said("[project]\nports = [1]\n").runs_something


def test_a_table_in_pyproject_serves_too_and_others_are_nobodys_concern(said, tmp_path):
    assert said("[tool.sentinel]\nports = [3001]\n", "pyproject.toml") == Wishes(ports=(3001,))
    assert said("[tool.black]\n", "pyproject.toml") is None
    assert said("this is no TOML", "pyproject.toml") is None
    assert read(tmp_path / "none.toml") is None
    with pytest.raises(ConfigError, match=r'unknown key "prots" in \[tool.sentinel\]; did you mean "ports"'):
        said("[tool.sentinel]\nprots = [3001]\n", "pyproject.toml")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("ports = [0]", "project.ports must be a whole number from 1 to 65535"),
        ("ports = [65536]", "65535"),
        ('ports = "3000"', "project.ports must be a list of whole numbers"),
        ('patterns = [""]', "a text that is not empty"),
        ('name = "-D"', "must begin with a letter or a digit"),
        ('name = "a\\u001b[2J"', "must begin with a letter or a digit"),
        ('procfile = "/etc/Procfile"', "inside of the project"),
        ('logs = "../../etc"', "inside of the project"),
        ('patterns = ["("]', "no regular expression"),
        ('start = "a"\nprocfile = "b"', "choose one"),
        ("kill = true", 'unknown key "kill"'),
    ],
)
def test_what_makes_no_sense_is_refused(said, line, wrong):
    with pytest.raises(ConfigError, match=wrong):
        said(f"[project]\n{line}\n")


def test_a_file_that_others_may_have_written_is_refused(said, tmp_path):
    said("[project]\n")
    (tmp_path / "sentinel.toml").chmod(0o666)
    with pytest.raises(ConfigError, match="can be written by other users"):
        read(tmp_path / "sentinel.toml")
