from sentinel.environments import logs


def test_the_last_lines_are_shown_without_colours_and_harmless(tmp_path):
    (tmp_path / "web.log").write_bytes(b"one\n\x1b[1;31mtwo\x1b[0m\n\x1b]0;title\x07three")
    (tmp_path / "web.log.1").write_bytes(b"old\n")
    assert logs.names(tmp_path) == ["web"]
    assert logs.tail(tmp_path, "web", 2) == ["two", "\\x1b]0;title\\x07three"]
    assert logs.tail(tmp_path, "web", 0) == []
    assert logs.tail(tmp_path, "none", 5) == []
    assert logs.names(tmp_path / "none") == []


def test_of_a_long_log_the_end_is_read(tmp_path):
    (tmp_path / "web.log").write_bytes(b"x" * 5000 + b"\n" + b"line\n" * 300_000)
    assert logs.tail(tmp_path, "web", 3) == ["line"] * 3


def test_new_lines_are_followed_whole_also_in_a_new_file(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_LOOK_EVERY", 0.0)
    log, said = tmp_path / "web.log", []
    log.write_bytes(b"old\nolder\n")
    following = logs.follow(tmp_path, (), 1, lambda name, line: said.append(f"{name}: {line}"))
    next(following)
    with open(log, "ab") as file:
        file.write(b"half")
    next(following)
    with open(log, "ab") as file:
        file.write(b" and half\n")
    next(following)
    log.rename(tmp_path / "web.log.1")
    log.write_bytes(b"fresh\n")
    next(following)
    (tmp_path / "front.log").write_bytes(b"")
    next(following)
    assert said == ["web: older", "web: half and half", "web: fresh"]
