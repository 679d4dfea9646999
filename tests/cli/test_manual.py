from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel import config
from sentinel.cli import COMMANDS, manual
from sentinel.core.policy import CREW

DOCS = Path(__file__).parents[2] / "docs"


def written():
    """The pages as a process of its own writes them: in ours, click remembers how a test asked a verb for help."""
    script = "import json; from sentinel.cli import manual; print(json.dumps(manual.pages()))"
    return json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)


@pytest.fixture(scope="module")
def pages():
    return written()


def test_there_is_a_page_for_each_verb(pages):
    assert set(pages) >= {"sentinel.1", *(f"sentinel-{verb}.1" for verb in COMMANDS)}
    assert "sentinel-service-status.1" in pages
    for verb in COMMANDS:
        assert f"sentinel\\-{verb}(1)" in pages["sentinel.1"]


def test_the_same_version_writes_the_same_pages(pages):
    assert written() == pages


def test_groff_has_nothing_to_complain_about(pages, tmp_path):
    if not shutil.which("groff"):
        pytest.skip("missing: groff (Debian: groff-base)")
    for name, page in pages.items():
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], input=page, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), name
        assert "DESCRIPTION" in done.stdout


def test_no_text_is_taken_for_a_request(pages):
    assert manual._text(".SH odd") == "\\&.SH odd"
    assert manual._text("a\\b 'c' --d") == "a\\eb \\(aqc\\(aq \\-\\-d"
    requests = {line.split()[0] for page in pages.values() for line in page.splitlines() if line.startswith(".")}
    assert requests <= {".TH", ".SH", ".TP", ".PP", ".B", ".BR", ".nf", ".fi"}


def test_no_page_names_a_file_that_only_the_source_has(pages):
    assert [name for name, page in pages.items() if "docs/" in page] == []


def test_all_that_can_be_wished_is_in_a_page_of_its_own(pages, tmp_path):
    """The same as in docs/configuration.md, and the agent takes it."""
    assert "sentinel.toml(5)" in pages["sentinel.1"]
    assert all(manual._text(line) in pages["sentinel.toml.5"] for line in manual.sample().splitlines())
    (shown,) = re.findall(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)
    assert shown == manual.sample()
    place = tmp_path / "sentinel.toml"
    place.write_text(shown)
    place.chmod(0o600)
    examples = config.load(place)
    assert examples.policy.projects
    defaults = config.Config(replace(examples.policy, projects=(), protected=(CREW,), protected_programs=()))
    assert replace(examples, policy=defaults.policy, locks=config.Locks()) == config.Config()
    told = tomllib.loads(shown)
    assert told.keys() == set(config._File.__struct_fields__)
    for name in ("protect", "budget", "sources", "notify", "registry", "locks"):
        assert told[name].keys() == set(type(getattr(config._File(), name)).__struct_fields__), name
    policies = [*told["policy"].values(), *told["project"]]
    assert {key for one in policies for key in one} == set(config._Project.__struct_fields__)
    assert all(re.search(rf"^\[policy.pane\] .*\b{kind}\b", shown, re.MULTILINE) for kind in config.Kind)


def test_what_a_page_says(pages):
    page = pages["sentinel-install.1"]
    assert "sentinel\\-install \\- Have Sentinel started at each log\\-in" in page
    assert "\\fB\\-\\-dry\\-run\\fR" in page
    assert ".BR sentinel (1)" in page


def test_each_page_names_both_ways_to_ask_for_help(pages):
    assert [name for name, page in pages.items() if "\\fB\\-h, \\-\\-help\\fR" not in page] == ["sentinel.toml.5"]
