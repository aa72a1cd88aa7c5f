"""The project of a user who has never heard of the kit: its modules have names that nobody else has."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: ``TOKEN`` is what only the project's own code can tell. Nodes need nothing of daskbridge.
ENTRY = '''
"""The module that has the body, and functions that run on nodes."""

import inspect
import json
from contextlib import nullcontext

from distributed import get_client

import @SIBLING@
from @PACKAGE@ import parts

TOKEN = "entry-@TOKEN@"


class Mistake(Exception):
    """An error of the user's own."""


def watched():
    """Be replaced by what a program looks at while it has a cluster."""


def call():
    """Be replaced by what counts the calls of bodies."""
    return nullcontext()


def body() -> str:
    with call():
        return json.dumps(watched())


async def body_async() -> str:
    with call():
        found = watched()
        return json.dumps(await found if inspect.isawaitable(found) else found)


def fail() -> str:
    with call():
        get_client().submit(abs, -1).result()
        raise Mistake("the user's own @TOKEN@")


def code():
    return [TOKEN, parts.TOKEN, @SIBLING@.TOKEN]


def double(number):
    return 2 * parts.same(number)
'''
PARTS = '''
"""A module of a package."""

TOKEN = "parts-@TOKEN@"


def same(value):
    return value
'''
SIBLING = '''
"""A module beside the entry module."""

TOKEN = "sibling-@TOKEN@"
'''


@dataclass(frozen=True)
class Project:
    """Name a generated project's directory, modules and token."""

    directory: str
    entry: str
    package: str
    sibling: str
    token: str

    @classmethod
    def write(cls, directory: Path) -> Project:
        """Write a new project into ``directory``, which is made."""
        token = uuid.uuid4().hex[:12]
        project = cls(str(directory), f"jobs_{token}", f"pack_{token}", f"side_{token}", token)
        package = directory / project.package
        package.mkdir(parents=True)
        files = {
            directory / f"{project.entry}.py": ENTRY,
            directory / f"{project.sibling}.py": SIBLING,
            directory / "pyproject.toml": "",
            package / "__init__.py": "",
            package / "parts.py": PARTS,
        }
        for file, text in files.items():
            file.write_text(project._filled(text), "utf-8")
        return project

    def to_json(self) -> dict[str, str]:
        """Return what a program in another process has to know."""
        return asdict(self)

    def _filled(self, text: str) -> str:
        for name in ("package", "sibling", "token"):
            text = text.replace(f"@{name.upper()}@", getattr(self, name))
        return text.lstrip()

    @property
    def tokens(self) -> list[str]:
        """Return what the entry module's ``code()`` returns."""
        return [f"{module}-{self.token}" for module in ("entry", "parts", "sibling")]
