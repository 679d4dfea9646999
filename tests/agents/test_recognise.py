import time

import pytest

from sentinel.agents.recognise import Recognised, recognise, worth_a_look
from sentinel.agents.table import AGENTS
from sentinel.core.facts import kernel_name
from sentinel.core.sessions import Kind

NODE = "/usr/bin/node"
NPM = "/usr/lib/node_modules"
CURSOR = "/home/u/.local/share/cursor-agent/versions/2025.09.12-4852336"

AGENTS_SEEN = [
    # exe, argv, comm, agent
    ("/home/u/.local/share/claude/versions/2.1.197", ["claude", "-c"], "claude", "claude"),
    (f"{NPM}/@anthropic-ai/claude-code/bin/claude.exe", ["claude"], "claude", "claude"),
    ("/nix/store/abc-claude/bin/.claude-unwrapped", ["claude"], ".claude-unwrapp", "claude"),
    ("/nix/store/abc-claude/bin/.claude-wrapped", ["/bin/claude", "-p", "say mcp"], ".claude-wrapped", "claude"),
    (NODE, ["claude"], "claude", "claude"),  # its script wrote a title over its arguments
    (NODE, ["node", f"{NPM}/@anthropic-ai/claude-code/cli.js", "-p", "hello"], "node", "claude"),
    ("/opt/codex/bin/codex", ["codex", "exec", "fix the tests"], "codex", "codex"),
    (NODE, ["node", "/usr/local/bin/codex"], "node", "codex"),
    (NODE, ["node", "--no-warnings", "/usr/local/bin/gemini", "-i", "x"], "MainThread", "gemini"),
    (NODE, ["node", f"{NPM}/@google/gemini-cli/bundle/gemini.js"], "node", "gemini"),
    (NODE, ["node", "/home/u/.npm/_npx/5fe8/node_modules/.bin/qwen"], "node-MainThread", "qwen"),
    (NODE, ["node", "-r", "/home/u/trace.js", "/usr/local/bin/copilot"], "node", "copilot"),
    (NODE, ["node", f"{NPM}/@github/copilot/npm-loader.js"], "node", "copilot"),
    (f"{NPM}/opencode-ai/bin/opencode.exe", ["opencode"], "opencode.exe", "opencode"),
    (f"{NPM}/@ampcode/cli/bin/amp.exe", ["amp"], "amp.exe", "amp"),
    (f"{CURSOR}/node", ["/home/u/.local/bin/agent", "--use-system-ca", f"{CURSOR}/index.js"], "agent", "cursor-agent"),
    (f"{CURSOR}/node", ["/home/u/.local/bin/cursor-agent", f"{CURSOR}/index.js", "-p", "x"], "node", "cursor-agent"),
    ("/usr/bin/python3.11", ["/home/u/venv/bin/python3", "/home/u/venv/bin/aider", "a.py"], "aider", "aider"),
    ("/usr/bin/python3.11", ["python3", "-X", "dev", "-m", "aider", "a.py"], "python3", "aider"),
    ("/usr/bin/python3.11", ["python3", "aider"], "aider", "aider"),  # by its first line, from the same directory
    ("/home/u/.bun/bin/bun", ["bun", "run", f"{NPM}/@mariozechner/pi-coding-agent/dist/cli.js"], "bun", "pi"),
    ("/home/u/.local/bin/kiro-cli-chat", ["kiro-cli-chat", "chat"], "kiro-cli-chat", "kiro-cli"),
    ("/usr/local/bin/goose", ["goose", "session"], "goose", "goose"),
    ("/usr/local/bin/crush", ["crush"], "crush", "crush"),
    # scripts by their first line: the kernel calls the process by the script's name
    ("/usr/bin/bash", ["/bin/bash", "/home/u/bin/claude"], "claude", "claude"),
    ("/usr/bin/bash", ["/bin/bash", "-e", "./claude", "--resume"], "claude", "claude"),
    ("/usr/bin/dash", ["/bin/sh", "./codex"], "codex", "codex"),
    ("/bin/busybox", ["/bin/sh", "/usr/local/bin/goose"], "goose", "goose"),
    ("/opt/any/interpreter-7", ["/opt/any/interpreter-7", "/home/u/bin/amp"], "amp", "amp"),
    ("/usr/bin/env", ["/usr/bin/env", "bash", "/home/u/bin/claude"], "claude", "claude"),
    ("/usr/bin/env", ["/usr/bin/env", "-S bash -e", "/home/u/bin/claude"], "claude", "claude"),
    # and by `#!/usr/bin/env bash`: then it has the shell's
    ("/usr/bin/bash", ["bash", "/home/u/bin/claude", "-c"], "bash", "claude"),
    ("/usr/bin/zsh", ["zsh", "./gemini"], "zsh", "gemini"),
]

NO_AGENTS = [
    ("/usr/bin/vim", ["vim", "notes-claude.md"], "vim"),
    ("/usr/bin/vim", ["vim", "/usr/bin/claude"], "vim"),
    ("/usr/bin/grep", ["grep", "overmind", "-r", "."], "grep"),
    ("/usr/bin/pgrep", ["pgrep", "-f", "claude"], "pgrep"),
    ("/usr/bin/ssh-agent", ["ssh-agent"], "ssh-agent"),
    ("/usr/bin/claude-desktop", ["claude-desktop"], "claude-desktop"),
    ("/Applications/Claude.app/Contents/MacOS/Claude", ["Claude"], "Claude"),
    ("/usr/bin/agent", ["agent"], "agent"),
    (NODE, ["node", "server.js"], "node"),
    (NODE, ["node", "claude.js"], "node"),
    (NODE, ["node", "claude"], "node"),  # a file of that name, given to an interpreter
    (NODE, ["node", "/home/u/claude/server.js", "claude"], "node"),
    (NODE, ["node", "/home/u/cline/dist/server.js"], "node"),  # somebody's check-out, not the installed package
    (NODE, ["node", "-e", "require('/usr/bin/claude')"], "node"),
    (NODE, ["node", "-r", "/usr/local/bin/claude", "/home/u/app.js"], "node"),
    (NODE, ["node", f"{NPM}/@anthropic-ai/claude-code/node_modules/some-mcp/index.js"], "node"),
    (NODE, ["npm exec @anthropic-ai/claude-code"], "npm exec @anthr"),
    (NODE, ["node", "/usr/bin/npm", "exec", "claude"], "node"),
    (NODE, ["node"], "node"),
    (NODE, ["node", "-e", "0", "/usr/local/bin/claude"], "node"),
    ("/usr/bin/python3.11", ["/venv/bin/python", "/venv/bin/pytest", "tests/claude"], "pytest"),
    ("/usr/bin/python3.11", ["python3", "-m", "pytest", "tests/aider"], "python3"),
    ("/usr/bin/python3.11", ["python3", "-m"], "python3"),
    ("/usr/bin/python3.11", ["python3", "-c", "import aider"], "python3"),
    ("/bin/bash", ["bash", "-c", "claude --resume"], "bash"),
    ("/bin/bash", ["bash", "-c", "claude"], "bash"),
    ("/bin/bash", ["bash", "-lc", "/usr/bin/claude"], "bash"),  # and soon it will be
    ("/bin/bash", ["bash", "-s", "/usr/bin/claude"], "bash"),
    ("/bin/bash", ["bash", "--rcfile", "/home/u/claude"], "bash"),
    ("/bin/bash", ["bash", "claude"], "bash"),
    ("/bin/bash", ["bash", "run", "/usr/bin/claude"], "bash"),
    ("/bin/bash", ["bash", "./deploy", "/usr/bin/claude"], "bash"),
    ("/bin/bash", ["/bin/bash", "./deploy", "claude"], "deploy"),
    ("/usr/bin/less", ["less", "claude"], "less"),
    ("/usr/bin/less", ["less", "/usr/bin/claude"], "less"),
    ("/usr/bin/vim", ["vim", "claude"], "vim"),
    ("/usr/bin/tail", ["tail", "-f", "claude"], "tail"),
    ("/usr/bin/env", ["env", "less", "/usr/bin/claude"], "env"),
    ("/usr/bin/python3.11", ["python3", "notes-claude.py"], "python3"),
    ("/usr/bin/python3.11", ["/usr/bin/python3", "/home/u/notes-claude.py", "claude"], "notes-claude.py"),
    ("/usr/sbin/sshd", ["sshd: claude"], "sshd"),
    ("/usr/sbin/nginx", ["nginx: worker of /srv/claude"], "nginx"),
    ("/usr/bin/tmux", ["tmux", "new", "-d", "claude"], "tmux: server"),
    ("/usr/bin/tmux", ["tmux", "-C", "-L", "overmind-app-V1StGXR8_Z5jdHi6B-myT", "new"], "tmux: server"),
    # servants of the agent that started them
    ("/usr/bin/claude", ["claude", "mcp", "serve"], "claude"),
    ("/usr/bin/codex", ["codex", "mcp-server"], "codex"),
    (f"{CURSOR}/node", [f"{CURSOR}/node", f"{CURSOR}/index.js", "worker-server"], "node"),
    # programs that answer and end
    ("/usr/bin/claude", ["claude", "--version"], "claude"),
    ("", [], ""),
]


@pytest.mark.parametrize(("exe", "argv", "comm", "agent"), AGENTS_SEEN)
def test_an_agent_is_recognised_by_what_runs(exe, argv, comm, agent):
    assert recognise(exe, argv, comm) == Recognised(Kind.AGENT, agent)


@pytest.mark.parametrize(("exe", "argv", "comm"), NO_AGENTS)
def test_words_on_a_command_line_make_no_agent(exe, argv, comm):
    assert recognise(exe, argv, comm) is None


@pytest.mark.parametrize(
    ("exe", "argv", "comm"),
    [
        ("/opt/homebrew/bin/overmind", ["overmind", "start", "-D"], "overmind"),
        ("/usr/bin/overmind", ["overmind", "s", "-f", "Procfile.dev"], "overmind"),
        ("/usr/bin/python3.11", ["/usr/bin/python3", "./bin/overmind", "start"], "overmind"),
    ],
)
def test_a_starting_overmind_is_recognised(exe, argv, comm):
    assert recognise(exe, argv, comm) == Recognised(Kind.OVERMIND, "overmind")


@pytest.mark.parametrize("word", ["connect", "ps", "restart", "kill", "echo", "--version"])
def test_an_overmind_that_only_talks_to_another_is_none(word):
    assert recognise("/usr/bin/overmind", ["overmind", word], "overmind") is None


@pytest.mark.parametrize("exe", [exe for exe, *_ in AGENTS_SEEN])
def test_what_is_recognised_at_exec_is_worth_a_look(exe):
    at_exec = kernel_name(exe.rpartition("/")[2])  # the kernel names a process after its file
    name = next(comm for e, _, comm, _ in AGENTS_SEEN if e == exe)
    assert worth_a_look(at_exec) or worth_a_look(name)


def test_every_row_can_be_recognised():
    for agent in AGENTS:
        for command in agent.commands:
            assert recognise(f"/usr/bin/{command}", [command], command) == Recognised(Kind.AGENT, agent.name)
            assert worth_a_look(kernel_name(command))
        for package in agent.packages:
            script = f"/x/{package}/1.0/main.js"
            assert recognise(NODE, ["node", script], "node") == Recognised(Kind.AGENT, agent.name)


def test_most_programs_are_not_worth_a_look():
    for comm in ("git", "ls", "sh", "dash", "make", "tmux: server", "claude-desktop", "cc1plus", ""):
        assert not worth_a_look(comm)


def test_a_hostile_command_line_takes_no_time():
    argv = ["node", *["--x" * 50] * 20_000, "/" * 100_000]
    began = time.monotonic()
    assert recognise(NODE, argv, "\udcff" * 15) is None
    assert time.monotonic() - began < 2
