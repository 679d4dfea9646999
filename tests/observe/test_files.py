from __future__ import annotations

import os

from sentinel.core.facts import DirectoryFacts, Gone, Unknown
from sentinel.observe.files import look_at_directory, names_in


def test_a_directory_is_seen_as_it_is_and_links_are_not_followed(tmp_path):
    made = tmp_path / "made"
    made.mkdir(mode=0o700)
    facts = look_at_directory(str(made))
    found = os.lstat(made)
    assert isinstance(facts, DirectoryFacts)
    assert (facts.device, facts.inode, facts.uid) == (found.st_dev, found.st_ino, os.getuid())
    assert facts.mode == found.st_mode
    (tmp_path / "link").symlink_to(made)
    link = look_at_directory(str(tmp_path / "link"))
    assert isinstance(link, DirectoryFacts)
    assert link.inode != facts.inode


def test_only_what_is_not_there_is_gone(tmp_path):
    assert look_at_directory(str(tmp_path / "nothing")) == Gone()
    (tmp_path / "file").touch()
    assert isinstance(look_at_directory(str(tmp_path / "file" / "below")), Gone | Unknown)
    assert isinstance(look_at_directory("/" + "x" * 5000), Unknown)


def test_the_names_in_a_directory(tmp_path):
    (tmp_path / "a").touch()
    assert names_in(str(tmp_path)) == ["a"]
    assert isinstance(names_in(str(tmp_path / "nothing")), list | Unknown)
    assert isinstance(names_in(str(tmp_path / "a")), Unknown)
