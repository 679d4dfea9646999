import re
from dataclasses import replace

import pytest

from sentinel.core.candidates import Mark
from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.rules.projects import Grounds, Seen, claims, home, inside

HERE = "/home/you/shop"
LABEL = "overmind-shop-" + "x" * 21
GROUNDS = Grounds(HERE, frozenset({3001}), (re.compile("puma_server"),), frozenset({"shop"}))
FACTS = ProcessFacts(ProcessId(100, 5), 1, 100, 100, 0, "S", "ruby", 1000)
LOST = "its parent has ended"
OF_TMUX = Mark("TMUX", f"/run/tmux-1000/{LABEL},77,0", "the tmux server", 77)
OF_A_RUN = Mark("SENTINEL_SESSION", "Shop:78", "a sentinel run", 78)

SERVER = replace(FACTS, name="tmux: server")
CONDEMNED = {
    "by its port": Seen(FACTS, HERE, HERE, ports=(3001,)),
    "by its port, below the directory": Seen(FACTS, f"{HERE}/api", HERE, ports=(80, 3001)),
    "by a pattern": Seen(FACTS, HERE, HERE, command="ruby puma_server.rb", lost=LOST),
    "by a mark of tmux": Seen(FACTS, HERE, HERE, lost=LOST, ended=(OF_TMUX,)),
    "by a mark of a run": Seen(FACTS, HERE, HERE, lost=LOST, ended=(OF_A_RUN,)),
    "by its label": Seen(SERVER, HERE, HERE, label=LABEL),
}


@pytest.mark.parametrize("seen", CONDEMNED.values(), ids=CONDEMNED)
def test_what_works_there_and_does_what_only_the_project_does_is_its(seen):
    assert len(claims(seen, GROUNDS)) >= 2


@pytest.mark.parametrize("seen", CONDEMNED.values(), ids=CONDEMNED)
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"directory": "/home/you", "project": ""},
        {"directory": f"{HERE}-2", "project": ""},
        {"directory": "", "project": ""},
        {"directory": f"{HERE}/trees/a", "project": f"{HERE}/trees/a"},
    ],
    ids=["above", "of a longer name", "unknown", "in a project inside"],
)
def test_whatever_works_elsewhere_is_not(seen, elsewhere):
    assert claims(replace(seen, **elsewhere), GROUNDS) == ()


MERCY = {
    "nothing but the directory": Seen(FACTS, HERE, HERE, command="vim app.rb", lost=LOST),
    "another port": Seen(FACTS, HERE, HERE, ports=(3002,)),
    "a pattern, with a parent that lives": Seen(FACTS, HERE, HERE, command="less puma_server.rb"),
    "a mark, with a parent that lives": Seen(FACTS, HERE, HERE, ended=(OF_TMUX,)),
    "a mark of another project": Seen(
        FACTS, HERE, HERE, lost=LOST, ended=(replace(OF_TMUX, value=OF_TMUX.value.replace("shop", "forum")),)
    ),
    "a mark of one's own tmux": Seen(
        FACTS, HERE, HERE, lost=LOST, ended=(replace(OF_TMUX, value="/run/tmux-1000/default,77,0"),)
    ),
    "a mark of a run of another name": Seen(FACTS, HERE, HERE, lost=LOST, ended=(replace(OF_A_RUN, value="forum:78"),)),
    "a mark of a conversation": Seen(FACTS, HERE, HERE, lost=LOST, ended=(Mark("CLAUDE_PID", "79", "claude", 79),)),
    "a mark of another maker": Seen(FACTS, HERE, HERE, lost=LOST, ended=(replace(OF_A_RUN, variable="STY"),)),
    "one's own tmux server": Seen(SERVER, HERE, HERE, label="default"),
    "one's own tmux server, that has the port": Seen(SERVER, HERE, HERE, label="shop", ports=(3001,)),
    "another project's tmux server": Seen(SERVER, HERE, HERE, label=LABEL.replace("shop", "forum")),
}


@pytest.mark.parametrize("seen", MERCY.values(), ids=MERCY)
def test_one_thing_alone_is_not_enough(seen):
    assert claims(seen, GROUNDS) == ()


def test_a_directory_is_inside_of_itself_and_of_those_above():
    assert inside("/a/b", "/a/b")
    assert inside("/a/b/c", "/a/b")
    assert not inside("/a/bc", "/a/b")
    assert not inside("/a", "/a/b")


SERVICE = "/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service"
TERMINAL = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.kitty-7.scope"
OLD_TERMINAL = "/user.slice/user-1000.slice/user@1000.service/apps.slice/gnome-terminal-server.service"


def test_a_service_of_its_own_is_no_place_to_expect_it_in():
    assert home(SERVICE, TERMINAL, managed=False) == ""
    assert home(SERVICE, OLD_TERMINAL, managed=False) == ""


def test_where_its_terminal_put_it_is():
    assert home(TERMINAL, SERVICE, managed=False) == TERMINAL
    assert home(OLD_TERMINAL, OLD_TERMINAL, managed=False) == OLD_TERMINAL
    assert home(SERVICE, TERMINAL, managed=True) == SERVICE
    assert home("", TERMINAL, managed=False) == ""


def test_the_grounds_are_said_one_by_one():
    works = f"it works in {HERE}"
    named = "in its environment names"
    both = replace(CONDEMNED["by a pattern"], ended=(OF_TMUX, OF_A_RUN))
    assert claims(both, GROUNDS) == (
        works,
        "its command line has a pattern of the project in it",
        LOST,
        f"TMUX {named} the tmux server (pid 77) of the project, which has ended",
        LOST,
        f"SENTINEL_SESSION {named} a sentinel run (pid 78) of the project, which has ended",
        LOST,
    )


def test_a_socket_whose_path_has_a_comma_is_known_all_the_same():
    mark = replace(OF_TMUX, value=f"/run/tm,ux/{LABEL},77,0")
    assert claims(Seen(FACTS, HERE, HERE, lost=LOST, ended=(mark,)), GROUNDS)
