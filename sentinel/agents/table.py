"""The coding agents that are known: one row each.

Names of commands and packages are those that the agents' own packages install (the ``bin``
entries on npm, the entry points on PyPI, the binaries of the installers); marks are what
each sets in the environment of the commands that it runs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agent:
    """One coding agent, and how it is recognised."""

    name: str
    commands: tuple[str, ...]
    """File names of its executable, or of its script. Names that many programs have
    (``agent``, ``pi``, ``cn``) stay out: their ``packages`` recognise them."""
    packages: tuple[str, ...] = ()
    """Directories, as the last parts of a path, whose own scripts are the agent."""
    helpers: tuple[str, ...] = ()
    """First words that make it a servant of whoever started it, above all MCP servers:
    a session of their own would keep them when the agent that they serve dies."""
    marks: tuple[str, ...] = ()
    """Variables in the environment of what it runs. Inherited, so never proof alone."""


AGENTS: tuple[Agent, ...] = (
    Agent(
        "claude",
        ("claude",),
        ("node_modules/@anthropic-ai/claude-code",),
        helpers=("mcp",),
        marks=("CLAUDE_CODE_SESSION_ID", "CLAUDE_PID", "CLAUDECODE"),
    ),
    Agent(
        "codex",
        ("codex",),
        ("node_modules/@openai/codex",),
        helpers=("mcp", "mcp-server"),
        marks=("CODEX_THREAD_ID", "CODEX_SANDBOX"),
    ),
    Agent("gemini", ("gemini",), ("node_modules/@google/gemini-cli",), helpers=("mcp",), marks=("GEMINI_CLI",)),
    Agent("opencode", ("opencode",), ("node_modules/opencode-ai",), helpers=("mcp",), marks=("OPENCODE",)),
    Agent(
        "cursor-agent",
        ("cursor-agent",),  # its other name, `agent`, could be anybody's
        ("cursor-agent/versions",),
        helpers=("worker-server",),  # left running by -p (cursor/cursor#3588)
        marks=("CURSOR_AGENT",),
    ),
    Agent("copilot", ("copilot",), ("node_modules/@github/copilot",), marks=("COPILOT_CLI",)),
    Agent("aider", ("aider",)),
    Agent("goose", ("goose",), helpers=("mcp",), marks=("GOOSE_TERMINAL",)),
    Agent("amp", ("amp",), ("node_modules/@sourcegraph/amp", "node_modules/@ampcode/cli")),
    Agent("qwen", ("qwen",), ("node_modules/@qwen-code/qwen-code",), helpers=("mcp",), marks=("QWEN_CODE",)),
    Agent("crush", ("crush",), ("node_modules/@charmland/crush",), marks=("CRUSH",)),
    # kiro-cli-term holds a shell's terminal for completion: it is no agent.
    Agent("kiro-cli", ("kiro-cli", "kiro-cli-chat"), helpers=("mcp",)),
    Agent("droid", ("droid",), ("node_modules/@factory/cli",)),
    Agent("auggie", ("auggie",), ("node_modules/@augmentcode/auggie",), marks=("AUGMENT_AGENT",)),
    Agent("cline", ("cline",), ("node_modules/cline",)),
    Agent("kilo", ("kilo", "kilocode"), ("node_modules/@kilocode/cli",)),
    Agent("kimi", ("kimi",), ("node_modules/@moonshot-ai/kimi-code",)),
    Agent("pi", (), ("node_modules/@mariozechner/pi-coding-agent",), marks=("PI_CODING_AGENT",)),
    Agent("continue", (), ("node_modules/@continuedev/cli",)),
)
