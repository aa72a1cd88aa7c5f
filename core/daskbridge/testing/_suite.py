"""What both suites have in common: what an author says, what is skipped, and how programs are reached."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

from daskbridge.errors import PluginError, unknown
from daskbridge.plugins import plugins
from daskbridge.serialization import CAPABILITIES
from daskbridge.testing import _recorder
from daskbridge.testing._abilities import ABILITIES
from daskbridge.testing._scenario import Scenario, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_STAGE: pytest.StashKey[Stage] = pytest.StashKey()


class Suite:
    """Say what a suite is about; a subclass named ``Test...`` is collected by pytest."""

    #: The provisioner that clusters come from.
    provisioner: str = "local"
    #: ``provisioner_options`` of every topology, under that name; what JSON can hold.
    options: ClassVar[Mapping[str, Any]] = {}
    #: Abilities that the target lacks, each with the reason, which the skip says; or capabilities of its own
    #: that it does not have together with others, as the kit asks them.
    lacks: ClassVar[Mapping[str, str]] = {}
    #: Seconds for a cluster to get ready, and for each thing that a program waits for.
    patience: float = 120.0
    #: Seconds after an end within which nothing may be left.
    settles: float = 60.0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, reason in cls.lacks.items():
            if name not in ABILITIES and name not in CAPABILITIES:
                known = [*ABILITIES, *CAPABILITIES]
                raise PluginError(f"{cls.__name__}.lacks: {unknown('ability', name, known)}")
            if not str(reason).strip():
                msg = f"{cls.__name__}.lacks[{name!r}] is {reason!r}; expected the reason, in words"
                raise PluginError(msg)

    @contextmanager
    def surroundings(self, directory: Path) -> Iterator[Mapping[str, str]]:  # noqa: ARG002 -- for authors
        """Start what one driver program needs in an empty directory, give variables for it, end it.

        Called once for each program, in a thread; two may be open at a time. To override.
        """
        yield {}

    def scenarios(self) -> list[Scenario]:
        """List the programs of this suite."""
        raise NotImplementedError

    def order(self) -> dict[str, Any]:
        """Return what every program of this suite gets to know."""
        return {
            "provisioner": self.provisioner,
            "options": {self.provisioner: dict(self.options)} if self.options else {},
            "capabilities": sorted(self.capabilities - self.lacks.keys()),
            "lacks": dict(self.lacks),
            "patience": self.patience,
            "settles": self.settles,
            "leaves": [],
        }

    def settings(self) -> dict[str, str]:
        """Return the environment variables of every program of this suite."""
        return {_recorder.TARGET: self.provisioner}

    @property
    def capabilities(self) -> frozenset[str]:
        """Return which fields of a topology are honoured by all targets; programs ask in threads."""
        try:
            honoured = [plugins().provisioner(name).capabilities for name in self.targets]
        except PluginError:  # a test says so
            return frozenset()
        return frozenset.intersection(*map(frozenset, honoured))

    @property
    def targets(self) -> tuple[str, ...]:
        """Name those whose capabilities count."""
        return (self.provisioner,)

    def needs(self, ability: str) -> None:
        """Skip a test where the target lacks an ability of the kit's."""
        if ability in self.lacks:
            pytest.skip(f"lacks {ability!r}: {self.lacks[ability]}")

    def honours(self, capability: str) -> None:
        """Skip a test where the target does not declare a capability."""
        self.needs(capability)
        if capability not in self.capabilities:
            pytest.skip(f"the capability {capability!r} is not declared by {' and '.join(self.targets)}")

    def given(self, test: Callable[..., None], *arguments: object) -> None:
        """Skip a test whose precondition another test asserts, where that one fails; name it."""
        try:
            test(*arguments)
        except (AssertionError, pytest.fail.Exception):
            skip(f"not looked at: {test.__name__} says why")

    @pytest.fixture
    def stage(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
        """Give the programs of this class; those that its selected tests ask for start at once."""
        node: pytest.Class = request.node.getparent(pytest.Class)
        stage = node.stash.get(_STAGE, None)
        if stage is None:
            items = [item for item in request.session.items if item.getparent(pytest.Class) is node]
            asked = {name for item in items for name in getattr(item, "fixturenames", ())}
            needed = [scenario.name for scenario in self.scenarios() if scenario.name in asked]
            stage = node.stash[_STAGE] = Stage(self, tmp_path_factory.mktemp(type(self).__name__), needed)
            node.addfinalizer(stage.close)
        return stage


def skip(reason: str) -> NoReturn:
    """Skip the test, without the failure that is the reason."""
    raise pytest.skip.Exception(reason) from None


def place_of(cls: type) -> list[str]:
    """Return the file of a class and its name in there, name by name."""
    import inspect

    return [str(Path(inspect.getfile(cls)).resolve()), *cls.__qualname__.split(".")]
