import pytest

from sentinel.environments.procfile import base_port, parse_procfile, parse_settings, ports_of


def test_processes_come_in_their_order_and_comments_do_not_count():
    text = "# dev\nweb: ruby app.rb\n\nnot a line\nfront-end: npm run dev\n"
    assert list(parse_procfile(text).items()) == [("web", "ruby app.rb"), ("front-end", "npm run dev")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "web: a\nweb: b\n"])
def test_what_is_no_procfile_is_refused(text):
    with pytest.raises(ValueError, match=r"NAME: COMMAND|unique"):
        parse_procfile(text)


def test_settings_that_cannot_be_read_set_nothing():
    text = "OVERMIND_PORT=3000\nexport TITLE='a b'\n# A=1\nBROKEN='\nlast=1\n"
    assert parse_settings(text) == {"OVERMIND_PORT": "3000", "TITLE": "a b", "last": "1"}


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("rackup -p $PORT", 5100),
        ("rackup -p ${PORT:-9292}", 5100),
        ("vite --port 5175", 5175),
        ("vite --port=5175 --host", 5175),
        ("PORT=3001 ruby puma_server.rb", 3001),
        ("rails s -p 3001", 3001),
        ("sidekiq -c 5", None),
        ("echo $PORTS", None),
        ("psql -p5432x", None),
        ("serve --port 99999", None),
        ("mkdir -p 2024-10", None),
    ],
)
def test_ports_are_those_that_a_command_speaks_of(command, port):
    found = ports_of({"first": "true", "it": command}, {})
    assert found == ({} if port is None else {"it": port})


def test_where_ports_begin_can_be_set():
    assert base_port({"PORT": "4000"}) == 4000
    assert base_port({"PORT": "4000", "OVERMIND_PORT": "3000"}) == 3000
    assert base_port({"PORT": "many"}) == 5000
    both = {"a": "x $PORT", "b": "x $PORT"}
    assert ports_of(both, {"OVERMIND_PORT": "3000", "OVERMIND_PORT_STEP": "10"}) == {"a": 3000, "b": 3010}
