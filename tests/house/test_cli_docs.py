"""Each command and each exit code that exists is in docs/cli.md, and no command that does not."""

import argparse
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from nanny_ops.cli import node, node_status, operator
from nanny_ops.cli.node_restart import AGAIN
from nanny_ops.helper import app as helper
from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text()


def _operator_commands(command: Any, words: str) -> Iterator[str]:
    """Walk groups as the program does: it loads a noun only when it is called."""
    if not hasattr(command, "list_commands"):
        yield words
        return
    for name in command.list_commands(None):
        yield from _operator_commands(command.get_command(None, name), f"{words} {name}")


def _agent_commands() -> Iterator[str]:
    for action in node.build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from (f"nanny-agent {name}" for name in action.choices)


@pytest.fixture(scope="module")
def commands() -> set[str]:
    """What the programs take."""
    of_the_operator = _operator_commands(typer.main.get_command(operator.app), "nanny-ops")
    return {*of_the_operator, *_agent_commands(), helper.build_parser().prog}


@pytest.fixture(scope="module")
def promised() -> set[str]:
    """What the page has a row for."""
    return set(re.findall(r"^\| `(nanny-[^`]+)` \|", PAGE, re.MULTILINE))


def test_every_command_is_documented(commands: set[str], promised: set[str]) -> None:
    assert commands - promised == set()


def test_nothing_is_promised_that_is_not_there(commands: set[str], promised: set[str]) -> None:
    assert promised - commands == set()


def test_the_agents_exit_codes_are_documented() -> None:
    of_the_agent = PAGE.partition("## nanny-agent")[2]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", of_the_agent, re.MULTILINE)}
    assert documented == {0, 1, AGAIN, *(code for _, code in node_status.EXIT_CODES)}
