from __future__ import annotations

import grp
import os
import pwd
from dataclasses import fields
from types import SimpleNamespace

import pytest

from sentinel import config
from sentinel.core.notices import Manner, Quiet
from sentinel.core.policy import Allowance, Daemons, KindPolicy, Mode, Policy, Survivors
from sentinel.core.sessions import Kind
from sentinel.errors import ConfigError

NOBODY = 65534


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sentinel.toml"


def load(file, text):
    file.write_text(text)
    file.chmod(0o600)
    return config.load(file)


def refusal(file):
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    said = str(caught.value)
    assert said.startswith(f"{file}:")
    return said.removeprefix(f"{file}:")


def test_no_file_means_the_defaults(file):
    assert config.load(file) == config.Config()
    assert config.Config().policy == Policy()


def test_no_directory_means_the_defaults(tmp_path):
    assert config.load(tmp_path / "not" / "there" / "sentinel.toml") == config.Config()


def test_an_empty_file_means_the_defaults(file):
    assert load(file, "") == config.Config()


def test_every_wish_is_heard(file):
    wishes = load(
        file,
        """
        mode = "observe"
        [policy.agent]
        survivors = "report"
        after_exit = "report"
        daemons = "end"
        grace = 10
        [sources]
        processes = "polling"
        poll_interval = 0.05
        [notify]
        enabled = false
        deadline = 2.5
        min_processes = 3
        """,
    )
    assert wishes.policy.mode is Mode.OBSERVE
    assert wishes.policy.of(Kind.AGENT) == KindPolicy(Survivors.REPORT, Survivors.REPORT, Daemons.END, 10.0)
    assert wishes.policy.of(Kind.RUN) == Policy().of(Kind.RUN)
    assert (wishes.sources.processes, wishes.sources.poll_interval) == ("polling", 0.05)
    assert (wishes.notify.enabled, wishes.notify.deadline, wishes.notify.min_processes) == (False, 2.5, 3)


def test_a_wish_for_all_kinds_leaves_what_it_does_not_name(file):
    policy = load(file, "[policy.default]\ngrace = 7\n").policy
    assert {policy.of(kind).grace for kind in Kind} == {7.0}
    assert policy.of(Kind.PANE).after_exit is Survivors.REPORT
    assert policy.of(Kind.RUN).after_exit is Survivors.END


def test_a_wish_for_one_kind_stands_above_that_for_all(file):
    policy = load(file, '[policy.default]\ngrace = 7\nafter_exit = "end"\n[policy.pane]\ngrace = 0\n').policy
    assert (policy.of(Kind.PANE).grace, policy.of(Kind.TMUX).grace) == (0.0, 7.0)
    assert policy.of(Kind.PANE).after_exit is Survivors.END


def test_the_manner_of_telling_is_what_the_section_says(file):
    said = load(file, '[notify]\nmin_processes = 3\nquiet = "22:00-07:30"\nsilent = ["pane", "run"]\n')
    assert said.notify.manner == Manner(3, Quiet(22 * 60, 7 * 60 + 30), frozenset({Kind.PANE, Kind.RUN}))
    assert load(file, "").notify.manner == Manner()
    assert load(file, "[notify]\nbuttons = false\n").notify.manner == Manner(buttons=False)


KNOWN = "mode, policy, project, protect, budget, sources, notify, registry, locks"

SHOP = """
[policy.run]
daemons = "end"
[[project]]
path = "~/shop"
grace = 9
[[project]]
path = "/home/somebody/shop/api/"
survivors = "report"
"""


def test_the_wishes_of_the_innermost_project_stand_above_those_for_all(file, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    policy = load(file, SHOP).policy
    everywhere = Policy().of(Kind.RUN).grace
    for directory, grace, survivors in (
        ("/home/somebody", everywhere, Survivors.END),
        ("/home/somebody/shopping", everywhere, Survivors.END),
        ("", everywhere, Survivors.END),
        ("/home/somebody/shop", 9.0, Survivors.END),
        ("/home/somebody/shop/web", 9.0, Survivors.END),
        ("/home/somebody/shop/api/v1", everywhere, Survivors.REPORT),
    ):
        wishes = policy.of(Kind.RUN, directory)
        assert (wishes.grace, wishes.survivors, wishes.daemons) == (grace, survivors, Daemons.END), directory
    assert policy.of(Kind.PANE, "/home/somebody/shop").after_exit is Survivors.REPORT


def test_a_project_behind_a_link_is_where_the_link_leads(file, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    policy = load(file, f'[[project]]\npath = "{tmp_path}/link"\ngrace = 9\n').policy
    assert policy.of(Kind.RUN, str(tmp_path / "real")).grace == 9.0


def test_the_crew_is_protected_whatever_else_is(file):
    policy = load(file, '[protect]\nsessions = ["mine-*"]\nprograms = ["bla*"]\n').policy
    assert policy.protected == ("gt-*-crew-*", "mine-*")
    assert policy.protected_programs == ("bla*",)
    assert load(file, "").policy.protected == ("gt-*-crew-*",)


def test_the_budget_can_be_set(file):
    assert load(file, "[budget]\ncauses = 9\nshare = 1\nseconds = 60\n").policy.budget == Allowance(9, 1.0, 60.0)
    assert load(file, "[budget]\ncauses = 9\n").policy.budget == Allowance(9)


def test_every_kind_and_every_wish_can_be_configured():
    assert set(config._Policies.__struct_fields__) == {"default", *Kind}
    assert list(config._Wishes.__struct_fields__) == [field.name for field in fields(KindPolicy)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modes = 1", '1: unknown key "modes"; did you mean "mode"?'),
        ("# c\n\nzzz = 1", f'3: unknown key "zzz"; known here: {KNOWN}'),
        ("[polcy.agent]\ngrace = 1", "1: unknown section [polcy]; did you mean [policy]?"),
        ("[policy.run]\n[policy.agnt]", "2: unknown section [policy.agnt]; did you mean [policy.agent]?"),
        ("[policy.agent]\n\ngrce = 1", '3: unknown key "grce" in [policy.agent]; did you mean "grace"?'),
        ("policy.agent.grce = 1", '1: unknown key "grce" in [policy.agent]; did you mean "grace"?'),
        ("\npolicy = { agent = { grce = 1 } }", '2: unknown key "grce" in [policy.agent]; did you mean "grace"?'),
        (
            'mode = "act"\nx = """\na\n"""',
            '2: unknown key "x"; known here: mode, policy, project, protect, budget, sources, notify, registry, locks',
        ),
        ('mode = "observed"', '1: mode must be "act" or "observe", not "observed"; did you mean "observe"?'),
        ('mode = "ACT"', '1: mode must be "act" or "observe", not "ACT"; did you mean "act"?'),
        ("mode = 5", '1: mode must be "act" or "observe", not 5'),
        ('[policy.run]\ndaemons = "x"', '2: policy.run.daemons must be "spare" or "end", not "x"'),
        ("[sources]\nprocesses = [\n1,\n]", '2: sources.processes must be "auto" or "polling", not a list'),
        ("[sources]\npoll_interval = 0.04", "2: sources.poll_interval must be a number from 0.05 to 60, not 0.04"),
        ("[sources]\npoll_interval = 61", "2: sources.poll_interval must be a number from 0.05 to 60, not 61"),
        ("[policy.tmux]\ngrace = -1", "2: policy.tmux.grace must be a number from 0 to 600, not -1"),
        ("[policy.tmux]\ngrace = 601", "2: policy.tmux.grace must be a number from 0 to 600, not 601"),
        ("[policy.tmux]\ngrace = nan", "2: policy.tmux.grace must be a number from 0 to 600, not nan"),
        ('[policy.tmux]\ngrace = "5"', '2: policy.tmux.grace must be a number from 0 to 600, not "5"'),
        ("[policy.tmux]\ngrace = true", "2: policy.tmux.grace must be a number from 0 to 600, not true"),
        ("[policy.tmux.grace]", "1: policy.tmux.grace must be a number from 0 to 600, not a section"),
        ("[notify]\nenabled = 1", "2: notify.enabled must be true or false, not 1"),
        ('[notify]\nquiet = "22-7"', '2: notify.quiet must be hours like "22:00-07:00", not "22-7"'),
        ('[notify]\nquiet = "24:00-07:00"', '2: notify.quiet must be hours like "22:00-07:00", not "24:00-07:00"'),
        (
            '[notify]\nways = ["tmuxx"]',
            '2: each of notify.ways must be "desktop" or "terminal" or "tmux", not "tmuxx"; did you mean "tmux"?',
        ),
        ("[notify]\nmin_processes = 1.5", "2: notify.min_processes must be a whole number from 0 to 10000, not 1.5"),
        ("policy = 3", "1: policy must be a section, not 3"),
        ("[[policy]]", "1: policy must be a section, not a list"),
        ("[[project]]\ngrace = 1", "1: [[project]] needs path"),
        ('[[project]]\npath = "shop"', '2: project.path must be a path that begins with / or ~/, not "shop"'),
        (
            '[[project]]\npath = "/a"\n[[project]]\npath = "~b"',
            '4: project.path must be a path that begins with / or ~/, not "~b"',
        ),
        ('[[project]]\npath = "/a"\ngrce = 1', '3: unknown key "grce" in [[project]]; did you mean "grace"?'),
        ('[[project]]\npath = "/a"\ngrace = "x"', '3: project.grace must be a number from 0 to 600, not "x"'),
        ('[[projects]]\npath = "/a"', "1: unknown section [[projects]]; did you mean [[project]]?"),
        ('[project]\npath = "/a"', "1: project must be sections in double brackets, not a section"),
        ("[protect]\nsessions = 3", "2: protect.sessions must be a list of texts, not 3"),
        ('[protect]\n\nprograms = ["a", 3]', "3: each of protect.programs must be a text that is not empty, not 3"),
        ('[protect]\nprograms = [""]', '2: each of protect.programs must be a text that is not empty, not ""'),
        ("[budget]\ncauses = 0", "2: budget.causes must be a whole number from 1 to 1000000, not 0"),
        ("[budget]\nshare = 1.5", "2: budget.share must be a number from 0.01 to 1, not 1.5"),
        ("[budget]\nsecond = 3", '2: unknown key "second" in [budget]; did you mean "seconds"?'),
        ("[bugdet]\ncauses = 3", "1: unknown section [bugdet]; did you mean [budget]?"),
        ("\nmode = ", "2: is not TOML: invalid value"),
        ('mode = "act"\n[b\n\n', "2: is not TOML: expected ']' at the end of a table declaration (column 3)"),
        ('mode = "act"\nmode = "act"\n#', "2: is not TOML: cannot overwrite a value (column 13)"),
        (f"\nx = {'9' * 5000}", "2: cannot be read: ValueError"),
        (f"\n\nx = {'[' * 5000}", "3: cannot be read: RecursionError"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(file, text, said):
    file.write_text(text)
    assert refusal(file) == said


def test_a_hostile_key_is_shown_harmless(file):
    file.write_text('[policy.agent]\n"a\\u001b[2J`\\n" = 1\n')
    assert refusal(file).startswith('2: unknown key "a\\x1b[2J`\\x0a" in [policy.agent]')


def test_the_end_of_a_file_without_line_feed_has_its_line(file):
    file.write_text("# one\n# two\nx = 1")
    assert refusal(file).startswith("3: unknown key")


def test_a_byte_order_mark_is_no_error(file):
    file.write_bytes(b'\xef\xbb\xbfmode = "observe"\n')
    assert config.load(file).policy.mode is Mode.OBSERVE
    file.write_bytes(b"\xef\xbb\xbf\nmod = 1\n")
    assert refusal(file) == '2: unknown key "mod"; did you mean "mode"?'


def test_what_is_not_utf_8_is_said_with_its_line(file):
    file.write_bytes(b'mode = "act"\n\n# \xff\n')
    assert refusal(file) == "3: is not UTF-8 (byte 0xff)"


def test_a_directory_is_refused(file):
    file.mkdir()
    assert refusal(file) == " is a directory, not a file"


def test_a_fifo_is_refused_at_once(file):
    os.mkfifo(file)
    assert refusal(file) == " is not a regular file"


def test_a_link_to_nothing_is_not_read_as_no_wishes(file):
    file.symlink_to("gone.toml")
    assert refusal(file) == " is a symbolic link to a file that is not there"


def test_a_link_to_a_file_is_followed(file, tmp_path):
    load(tmp_path / "dotfiles.toml", 'mode = "observe"')
    file.symlink_to("dotfiles.toml")
    assert config.load(file).policy.mode is Mode.OBSERVE


def test_a_file_too_large_is_refused(file):
    file.write_bytes(b"#" * (config.LARGEST + 1))
    assert refusal(file) == " is larger than 64 KiB, so it is not a configuration of Sentinel"


def test_what_cannot_be_read_is_not_no_wishes(file):
    # root may read anything, so a name that the kernel refuses stands for a mode that does
    (file.parent / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        config.load(file.parent / "file" / "sentinel.toml")


@pytest.mark.parametrize("mode", [0o602, 0o606, 0o666])
def test_a_file_that_anybody_can_write_is_refused(file, mode):
    file.write_text("")
    file.chmod(mode)
    assert refusal(file).startswith(f" can be written by other users (mode {mode:04o})")


@pytest.fixture
def group_of(monkeypatch):
    """Stands for the user database, which a test has no business to change."""

    def arrange(name, *members, primary=True):
        gid = os.getegid()
        user = SimpleNamespace(pw_name="eve", pw_gid=gid if primary else gid + 1)
        monkeypatch.setattr(pwd, "getpwuid", lambda _: user)
        monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name=name, gr_mem=list(members)))

    return arrange


def test_a_group_of_one_may_write(file, group_of):
    group_of("eve")
    file.write_text('mode = "observe"')
    file.chmod(0o664)
    assert config.load(file).policy.mode is Mode.OBSERVE


@pytest.mark.parametrize(
    "arrangement", [(("staff",), {}), (("eve", "mallory"), {}), (("eve",), {"primary": False})], ids=str
)
def test_a_group_of_more_may_not(file, group_of, arrangement):
    names, more = arrangement
    group_of(*names, **more)
    file.write_text("")
    file.chmod(0o664)
    assert refusal(file).startswith(" can be written by other users (mode 0664)")


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (to give a file to somebody else)")
def test_a_file_of_somebody_else_is_refused(file):
    file.write_text("")
    os.chown(file, NOBODY, NOBODY)
    assert refusal(file) == f" belongs to another user (uid {NOBODY}), and it decides what is ended"


def test_locks_are_watched_where_the_user_says(file):
    assert load(file, '[locks]\nwatch = ["~/srv/*.pid", "/run/x/a.lock"]').locks.watch == (
        "~/srv/*.pid",
        "/run/x/a.lock",
    )
    assert load(file, "").locks.watch == ()


@pytest.mark.parametrize("pattern", ["srv/*.pid", "/srv/*/a.pid", "~", "/srv/", "[a]/b", "/" + "a" * 4096])
def test_a_place_that_cannot_be_watched_is_refused(file, pattern):
    file.write_text(f'[locks]\nwatch = ["{pattern}"]')
    wanted = "a path that begins with / or ~/, with wildcards in its last part only, of 4096 characters at most"
    assert f'2: each of locks.watch must be {wanted}, not "' in refusal(file)
