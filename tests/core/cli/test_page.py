"""The reference page has every command and every option; a failing row is printed as it should be."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from daskbridge.cli import cli

PAGE = Path(__file__).parents[3].joinpath("docs", "reference", "command-line.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def commands(group, name):
    context = click.Context(group, info_name=name)
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {each}")
        else:
            yield f"{name} {each}", command


COMMANDS = dict(commands(cli, "daskbridge"))


def row(option):
    names, _ = option.get_help_record(click.Context(cli))
    return f"| `{names}` | {option.help} |"


def test_the_page_has_the_commands():
    assert [name for name in SECTIONS if name.startswith("daskbridge ")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_the_usage_and_every_option(name):
    command = COMMANDS[name]
    section = SECTIONS[name]
    usage = command.get_usage(click.Context(command, info_name=name)).removeprefix("Usage: ")

    assert f"```text\n{usage}\n```" in section
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [line for line in section.splitlines() if line.startswith("| `")] == [
        row(each) for each in options
    ]
