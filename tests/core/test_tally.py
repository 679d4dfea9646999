"""The sentence of a notification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.actions import Outcome, Result
from sentinel.core.facts import ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.core.tally import COLUMNS, MOST_FILES, Holdings, Tally, brief, of_lock, reasons, sentence, size, tally
from sentinel.core.verdicts import Spared
from sentinel.notify import texts

HOME = "/home/ada"
SPARED = Spared(ProcessId(9, 1), "nohup", "it was started to outlive its terminal", name="server")


def session(number=4231, name="claude", directory="/home/ada/shop", kind=Kind.AGENT):
    return Session(kind, name, ProcessId(number, 7), directory=directory)


def outcomes(*results):
    return tuple(Outcome(f"{number}@1", result) for number, result in enumerate(results))


def one(*results, of=None, how="was killed by SIGKILL", **more):
    return tally(of or session(), how, outcomes(*results), home=HOME, **more)


def added(*tallies):
    whole = Tally()
    for each in tallies:
        whole.add(each)
    return whole


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([Result.ENDED], "1 process ended"),
        ([Result.ENDED] * 3, "3 processes ended"),
        ([Result.ENDED, Result.KILLED], "2 processes ended (1 by SIGKILL)"),
        ([Result.REMOVED], "1 stale file removed"),
        ([Result.ENDED, Result.REMOVED, Result.REMOVED], "1 process ended, 2 stale files removed"),
        ([Result.SURVIVED, Result.REFUSED], "2 could not be cleaned"),
        ([Result.GONE], "nothing was done"),
    ],
)
def test_one_sentence_says_what_was_done(results, text):
    assert sentence(one(*results)) == f"claude in ~/shop was killed by SIGKILL: {text}."


def test_what_was_freed_and_what_was_left_is_said_too():
    held = {"0@1": Holdings(1_800_000_000, (3001,)), "1@1": Holdings(40_000_000, (3000,))}
    said = sentence(one(Result.ENDED, Result.KILLED, held=held, spared=[SPARED] * 2))
    assert said.endswith("2 processes ended (1 by SIGKILL), about 1.8 GB freed, ports 3000, 3001 free, 2 left alone.")


def test_what_did_not_end_has_freed_nothing():
    held = {"0@1": Holdings(1_800_000_000, (3001,))}
    for result in set(Result) - {Result.ENDED, Result.KILLED}:
        assert not {"freed", "free"} & set(sentence(one(result, held=held)).rstrip(".").split())


def test_a_port_on_which_somebody_listens_is_not_free():
    it = one(Result.ENDED, held={"0@1": Holdings(0, (3001, 3002))})
    assert "port 3002 free" in sentence(it, taken=[3001])
    assert "free" not in sentence(it, taken=[3001, 3002])


def test_of_many_ports_the_first_are_named():
    it = one(Result.ENDED, held={"0@1": Holdings(0, (5, 1, 2, 4, 3))})
    assert "ports 1, 2, 3 and 2 more free" in sentence(it)


def test_a_trifle_of_memory_is_not_worth_a_word():
    assert "freed" not in sentence(one(Result.ENDED, held={"0@1": Holdings(999_999)}))
    assert "about 1 MB freed" in sentence(one(Result.ENDED, held={"0@1": Holdings(1_000_000)}))


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 MB"), (85_400_000, "85 MB"), (999_000_000, "999 MB"), (1_849_999_999, "1.8 GB")]
)
def test_sizes_are_for_people(number, shown):
    assert size(number) == shown


@pytest.mark.parametrize(
    ("directory", "shown"),
    [
        ("", '"api" ended'),
        (HOME, '"api" in ~ ended'),
        ("/home/adamant/x", '"api" in /home/adamant/x ended'),
        (f"{HOME}/{'deep/' * 20}end", f'"api" in …{"/deep" * 7}/end ended'),
        ("/srv/\x1b[2J\n\u202e", r'"api" in /srv/\x1b[2J\x0a\u202e ended'),
    ],
)
def test_a_place_is_short_and_does_nothing(directory, shown):
    it = one(Result.ENDED, of=session(name="api", kind=Kind.RUN, directory=directory), how="ended")
    assert sentence(it) == f"{shown}: 1 process ended."


def test_a_home_that_is_the_root_is_nobodys():
    it = tally(session(directory="/srv"), "ended", outcomes(Result.ENDED), home="/")
    assert sentence(it).startswith("claude in /srv ended")


def test_several_are_named_and_many_are_counted():
    codex, api = session(5, "codex", "/home/ada/api"), session(6, "api", "", Kind.RUN)
    two = added(one(Result.ENDED), one(Result.ENDED, Result.KILLED, of=codex))
    assert sentence(two) == "claude in ~/shop and codex in ~/api died: 3 processes ended (1 by SIGKILL)."
    three = added(two, one(Result.REMOVED, of=api))
    assert sentence(three) == (
        "claude in ~/shop, codex in ~/api and 1 more died: 3 processes ended (1 by SIGKILL), 1 stale file removed."
    )


def test_one_session_that_is_cleaned_up_after_twice_is_one():
    assert sentence(added(one(Result.ENDED), one(Result.REMOVED))) == (
        "claude in ~/shop was killed by SIGKILL: 1 process ended, 1 stale file removed."
    )


def test_why_something_was_held_is_said_once():
    held = Outcome("1@7", Result.HELD, "a person has paused\nSentinel")
    it = tally(session(), "ended", [held, held, *outcomes(Result.ENDED)])
    assert r"2 processes not ended (a person has paused\x0aSentinel)." in sentence(it)


def test_what_it_remembers_is_bounded():
    whole = Tally()
    for number in range(5000):
        whole.add(one(Result.ENDED, of=session(number)))
    assert whole.sessions == 5000
    assert len(whole.keys) == 1024
    assert len(whole.names) == 2
    assert sentence(whole).startswith("claude in ~/shop, claude in ~/shop and 4998 more died: 5000 processes ended.")


HELD = {"0@1": Holdings(1_800_000_000, (3001,)), "1@1": Holdings(40_000_000, (3000,))}
WHY = "sentinel explain claude-4231"


@pytest.mark.parametrize(
    ("it", "more", "said"),
    [
        (one(Result.ENDED, Result.ENDED), WHY, f"Sentinel: claude died: 2 ended. {WHY}"),
        (
            one(Result.ENDED, held=HELD),
            WHY,
            f"Sentinel: claude died: 1 ended, port 3001 free. {WHY}",
        ),
        (
            one(Result.ENDED, Result.KILLED, Result.REFUSED, held=HELD),  # what failed leaves no room for the rest
            WHY,
            f"Sentinel: claude died: 2 ended, 1 not cleaned. {WHY}",
        ),
        (one(Result.GONE), WHY, f"Sentinel: claude died. {WHY}"),
        (one(Result.ENDED), f"sentinel explain {'x' * 60}", "Sentinel: claude died: 1 ended. sentinel events"),
        (
            one(Result.ENDED, of=session(name="x" * 99, kind=Kind.RUN)),
            WHY,
            f'Sentinel: "{"x" * 22}… died: 1 ended. {WHY}',
        ),
        (
            added(one(Result.ENDED), one(Result.ENDED, of=session(5))),
            "sentinel events --since 10m",
            "Sentinel: 2 sessions died: 2 ended. sentinel events --since 10m",
        ),
        (
            of_lock("/srv/a.lock", "make"),
            "sentinel events",
            "Sentinel: make (/srv/a.lock) died: 1 stale file removed. sentinel events",
        ),
    ],
)
def test_in_80_columns_it_says_what_died_what_was_freed_and_the_command(it, more, said):
    assert brief(it, more) == said
    assert len(said) <= COLUMNS


def test_a_port_that_is_taken_is_not_free_in_the_short_line_either():
    assert "port" not in brief(one(Result.ENDED, held=HELD), WHY, taken=[3001])


@given(name=st.text(max_size=300), ports=st.sets(st.integers(1, 65535), max_size=9), more=st.text(max_size=99))
def test_whatever_there_is_to_say_the_short_line_fits(name, ports, more):
    held = {"0@1": Holdings(10**13, tuple(ports))}
    results = [*Result] * 3
    assert len(brief(one(*results, of=session(name=name, kind=Kind.TMUX), held=held), more)) <= COLUMNS


@given(name=st.text(max_size=300), directory=st.text(max_size=300))
def test_whatever_the_names_it_is_one_printable_line(name, directory):
    said = sentence(one(Result.ENDED, of=session(name=name, directory=directory, kind=Kind.TMUX)))
    assert "\n" not in said
    assert "\x1b" not in said
    assert len(said) < 250


# -- why ---------------------------------------------------------------------------------

MORE = "sentinel explain claude-4231"
BORN = Holdings(name="node", evidence="born of process 4231, owned by claude (claude-4231@7): its birth was seen")


def test_why_is_told_process_by_process_with_the_evidence():
    it = one(Result.ENDED, Result.KILLED, Result.GONE, held={"0@1": BORN}, spared=[SPARED])
    assert reasons(it, MORE).splitlines() == [
        "node (0): born of process 4231, owned by claude: its birth was seen",
        "process (1): born of claude at its end",
        "server (9) left alone: it was started to outlive its terminal",
        MORE,
    ]


def test_why_a_file_was_removed_and_why_something_is_still_there_are_told_too():
    done = (
        Outcome("/srv/tmux-7/default", Result.REMOVED),
        Outcome("5@1", Result.SURVIVED, "it does not react to SIGKILL", "dd"),
        Outcome("/srv/app/.overmind.sock", Result.REFUSED, "it is in use"),
    )
    it = tally(session(), "was killed by SIGKILL", done)
    it.add(of_lock("/srv/shop/server.pid", "process 9"))
    assert reasons(it, MORE).splitlines() == [
        "default: left by claude, which was killed by SIGKILL",
        "dd (5) is still there: it does not react to SIGKILL",
        ".overmind.sock is still there: it is in use",
        "server.pid: its holder, process 9, has ended",
        MORE,
    ]


def test_of_many_the_first_are_told_why_and_the_others_counted_with_room_for_the_command():
    held = {f"{number}@1": Holdings(name="x" * 15, evidence="e" * 500) for number in range(40)}
    whole = added(one(*[Result.ENDED] * 40, held=held), one(Result.ENDED, of=session(5)))
    said = reasons(whole, MORE)
    assert said.splitlines()[-2:] == ["and 36 more", MORE]
    assert len(said.splitlines()) == 7
    assert texts.body(said) == said  # a popup shows it as it is: nothing is cut off


@given(
    name=st.text(max_size=40), evidence=st.text(max_size=600), more=st.text(st.characters(codec="ascii"), max_size=60)
)
def test_whatever_the_names_the_command_is_the_last_line(name, evidence, more):
    held = {f"{number}@1": Holdings(name=name, evidence=evidence) for number in range(9)}
    said = reasons(one(*[Result.ENDED] * 9, held=held), f"sentinel {more}")
    assert said.endswith(f"\nsentinel {more}")
    assert len(said) <= texts.BODY_LIMIT


def test_files_that_were_removed_are_remembered_up_to_as_many_as_a_popup_gives_back():
    locks = [of_lock(f"/srv/{number}.pid", "process 9") for number in range(40)]
    assert added(*locks[:2]).files == ["/srv/0.pid", "/srv/1.pid"]
    assert len(added(*locks).files) == MOST_FILES + 1
    assert len(tally(session(), "ended", [Outcome(f"/srv/{n}", Result.REMOVED) for n in range(40)]).files) > MOST_FILES
    assert one(Result.ENDED, Result.KEPT).files == []
