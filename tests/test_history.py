import itertools
import json
import os
import threading
from collections import deque

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.events import AgentStopped, EventsLost
from sentinel.errors import SentinelError
from sentinel.history import Cursor, History
from sentinel.journal import Journal

EVENT = AgentStopped("it was told to")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def journal(path):
    opened = Journal(path, "deadbeef", max_bytes=4000)  # a dozen records
    yield opened
    opened.close()


def write(journal, number):
    for _ in range(number):
        journal.record(EVENT)


def numbers(entries):
    return [entry.seq for entry in entries]


def upto(last, first=1):
    return list(range(first, last + 1))


def test_records_come_in_order_over_all_files(path, journal):
    write(journal, 40)
    assert os.path.exists(f"{path}.2")
    assert numbers(History(path).read()) == upto(40)


def test_an_entry_is_the_record_and_its_line(path, journal):
    write(journal, 1)
    (entry,) = History(path).read()
    assert entry.text + "\n" == path.read_text()
    assert entry.record == json.loads(entry.text)


def test_what_comes_is_read_once_also_over_rotations(path, journal):
    history = History(path)
    found = numbers(history.read())
    for step in (1, 3, 20, 0, 30, 2):
        write(journal, step)
        found += numbers(history.read())
    assert found == upto(56)


def test_one_may_stop_in_the_middle(path, journal):
    write(journal, 30)
    history = History(path)
    found = numbers(itertools.islice(history.read(), 5))
    write(journal, 5)
    assert numbers(history.read())[0] == found[-1] + 1


def test_there_is_nothing_to_read_until_the_first_record(path):
    history = History(path)
    assert numbers(history.read()) == []
    journal = Journal(path, "deadbeef")
    write(journal, 2)
    assert numbers(history.read()) == [1, 2]
    journal.close()


def test_a_line_that_is_being_written_is_left_for_later(path, journal):
    write(journal, 1)
    history = History(path)
    line = path.read_bytes().replace(b'"seq":1', b'"seq":2')
    with path.open("ab") as file:
        file.write(line[:50])
        file.flush()
        assert numbers(history.read()) == [1]
        file.write(line[50:])
    assert numbers(history.read()) == [2]
    assert history.damaged == 0


@pytest.mark.parametrize(
    "damage",
    [
        b"torn\n",
        b"\0\0\0\n",
        b"\xff\n",
        b"[1]\n",
        b"{}\n",
        b'{"seq":true,"type":"x"}\n',
        b'{"seq":1,"type":2}\n',
        b"[" * 9000 + b"\n",
    ],
)
def test_damaged_lines_are_passed_over_and_counted(path, journal, damage):
    write(journal, 1)
    with path.open("ab") as file:
        file.write(damage)
    write(journal, 1)
    history = History(path)
    assert numbers(history.read()) == [1, 2]
    assert history.damaged == 1


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 3000), harm=st.binary(min_size=1, max_size=30))
def test_damage_anywhere_costs_no_other_record(path, place, harm):
    lines = [b'{"seq":%d,"type":"dev.sentinel.x","data":{"why":"%b"}}\n' % (seq, b"y" * 40) for seq in upto(39, 10)]
    whole = bytearray(b"".join(lines))
    place %= len(whole)
    whole[place : place + len(harm)] = harm
    path.write_bytes(whole)
    hit = range(place // len(lines[0]), (place + len(harm)) // len(lines[0]) + 2)
    found = iter(numbers(History(path).read()))
    assert all(seq in found for seq in upto(39, 10) if seq - 10 not in hit)  # in this order, among others


def test_a_torn_end_of_a_rotated_file_is_a_damaged_line(path, journal):
    write(journal, 1)
    with path.open("ab") as file:
        file.write(b"torn")
    path.rename(f"{path}.1")
    write(journal, 1)
    history = History(path)
    assert numbers(history.read()) == [1, 2]
    assert history.damaged == 1


def test_an_empty_line_is_no_damage(path, journal):
    write(journal, 1)
    with path.open("ab") as file:
        file.write(b"\n\n")
    history = History(path)
    assert numbers(history.read()) == [1]
    assert history.damaged == 0


def test_a_file_met_under_two_names_is_read_once(path, journal):
    write(journal, 3)
    os.link(path, f"{path}.1")  # what a reader sees when the rename comes between two looks
    assert numbers(History(path).read()) == upto(3)


def test_a_file_that_was_emptied_is_read_from_its_beginning(path, journal):
    write(journal, 5)
    history = History(path)
    assert numbers(history.read()) == upto(5)
    os.truncate(path, 0)
    write(journal, 2)
    assert numbers(history.read()) == [6, 7]


@pytest.mark.parametrize("place", ["pipe", "symlink"])
def test_what_is_no_file_is_not_read(path, place):
    if place == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SentinelError, match=str(path)):
        list(History(path).read())


# -- the last ones ------------------------------------------------------------------


@pytest.mark.parametrize(("number", "first"), [(1, 40), (3, 38), (35, 6), (100, 1)])
def test_the_last_records_also_over_several_files(path, journal, number, first):
    write(journal, 40)
    history = History(path)
    assert numbers(history.last(number)) == upto(40, first)
    write(journal, 15)
    assert numbers(history.read()) == upto(55, 41)


def test_the_last_records_of_those_that_are_wanted(path, journal):
    write(journal, 3)
    journal.record(EventsLost("files", "overflow"))
    write(journal, 30)
    history = History(path)
    assert numbers(history.last(2, lambda record: "lost" in str(record["type"]))) == [4]
    assert list(history.read()) == []


def test_the_last_record_of_a_rotated_file_may_lack_its_line_feed(path, journal):
    write(journal, 2)
    os.truncate(path, path.stat().st_size - 1)
    path.rename(f"{path}.1")
    write(journal, 1)
    assert numbers(History(path).last(3)) == [1, 2, 3]


@pytest.mark.parametrize("rotated", [False, True])
def test_the_last_none_are_for_those_who_want_what_comes(path, journal, rotated):
    write(journal, 5)
    if rotated:
        path.rename(f"{path}.1")
        path.touch()
    history = History(path)
    assert history.last(0) == []
    assert history.cursor.seq == 5
    write(journal, 1)
    assert numbers(history.read()) == [6]


# -- cursors ------------------------------------------------------------------------


def read_on(path, cursor_file, number=None):
    history = History(path, Cursor.load(cursor_file))
    entries = history.read()
    found = numbers(entries) if number is None else [next(entries).seq for _ in range(number)]
    history.cursor.save(cursor_file)
    history.close()
    return found


@pytest.mark.parametrize("more", [0, 1, 15, 40])
def test_a_cursor_goes_on_where_it_was_over_rotations(path, journal, tmp_path, more):
    cursor_file = tmp_path / "cursor"
    write(journal, 10)
    assert read_on(path, cursor_file, 7) == upto(7)
    write(journal, more)
    assert read_on(path, cursor_file) == upto(10 + more, 8)
    assert read_on(path, cursor_file) == []
    assert os.stat(cursor_file).st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(tmp_path) if "cursor" in name] == ["cursor"]


def test_a_cursor_whose_file_is_gone_goes_by_the_number(path, journal, tmp_path):
    cursor_file = tmp_path / "cursor"
    write(journal, 10)
    read_on(path, cursor_file)
    content = path.read_bytes()
    path.rename(tmp_path / "saved")  # keeps the inode from being used again
    path.write_bytes(content)
    write(journal, 2)
    assert read_on(path, cursor_file) == [11, 12]


def test_a_cursor_is_not_fooled_by_a_new_file_of_the_same_inode(path, journal, tmp_path):
    cursor_file = tmp_path / "cursor"
    write(journal, 4)
    read_on(path, cursor_file)
    content = b"".join(b'{"seq":%d,"type":"x","time":"%b"}\n' % (seq, b"0" * 300) for seq in upto(20, 3))
    path.write_bytes(content)  # the same inode, another history
    assert read_on(path, cursor_file) == upto(20, 5)


def test_a_history_that_was_begun_anew_is_read_from_its_beginning(path, journal, tmp_path):
    cursor_file = tmp_path / "cursor"
    write(journal, 10)
    read_on(path, cursor_file)
    path.unlink()
    anew = Journal(path, "deadbeef")
    write(anew, 3)
    anew.close()
    assert read_on(path, cursor_file) == [1, 2, 3]


def test_a_cursor_from_before_the_first_record(path, journal, tmp_path):
    path.unlink()
    cursor_file = tmp_path / "cursor"
    assert read_on(path, cursor_file) == []
    write(journal, 2)
    assert read_on(path, cursor_file) == [1, 2]


@pytest.mark.parametrize("content", [b"junk", b"{}x", b'{"inode":"a"}', b"\xff", b"[]"])
def test_what_is_no_cursor_is_refused(tmp_path, content):
    (tmp_path / "cursor").write_bytes(content)
    with pytest.raises(SentinelError, match="not a cursor file"):
        Cursor.load(tmp_path / "cursor")


def test_an_empty_cursor_file_says_nothing_yet(tmp_path):
    (tmp_path / "cursor").touch()
    assert Cursor.load(tmp_path / "cursor") is None


def test_a_cursor_that_cannot_be_saved_is_told(tmp_path):
    with pytest.raises(SentinelError, match="cannot be written to"):
        Cursor().save(tmp_path / "nowhere" / "cursor")


# -- while others write -------------------------------------------------------------


def test_followers_lose_nothing_and_repeat_nothing_while_files_rotate(path):
    journal = Journal(path, "deadbeef", max_bytes=20_000)
    found = [[], [], []]
    done = threading.Event()
    ready = threading.Barrier(4)
    seen = deque([0] * 3)

    def follow(which):
        history = History(path)
        ready.wait()
        while True:
            last_round = done.is_set()
            for entry in history.read():
                found[which].append(entry.seq)
                seen[which] = entry.seq
            if last_round:
                history.close()
                return

    threads = [threading.Thread(target=follow, args=(which,)) for which in range(3)]
    for thread in threads:
        thread.start()
    ready.wait()
    while journal.record(EVENT) < 4000:
        # Four files are kept. Who is further behind than that cannot have all; a thread that gets no turn can.
        while journal._file.last - min(seen) > 100:
            done.wait(0.001)
    done.set()
    for thread in threads:
        thread.join(60)
    journal.close()
    assert [len(numbers) for numbers in found] == [4000] * 3
    assert all(numbers == upto(4000) for numbers in found)
