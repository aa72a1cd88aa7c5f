"""One plugin's implementation of one hook: called by itself, its failures put into words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from daskbridge.errors import DaskbridgeError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Implementation:
    """Call one implementation; ``origin`` names its plugin, ``hint`` says how to go on without it.

    What a plugin raises becomes a PluginError that names it, except what it says on purpose for
    the user: a DaskbridgeError.
    """

    hook: str
    plugin: str
    origin: str
    hint: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def call(self, **given: object) -> Any:  # noqa: ANN401 -- each caller knows its hook
        """Return the answer, given what of the arguments the implementation asks for."""
        return self.guard(lambda: self.function(*(given[name] for name in self.arguments)))

    def items(self, valid: Callable[[object], str], **given: object) -> list[Any]:
        """Return what the answer, an iterable or one object, holds.

        ``valid`` returns for each item what was expected instead, or nothing. Raises PluginError.
        """

        def collect() -> list[Any]:
            answer = self.call(**given)
            if answer is None:
                return []
            iterable = isinstance(answer, Iterable) and not isinstance(answer, str)
            return list(answer) if iterable else [answer]

        items = self.guard(collect)
        for item in items:
            if wanted := valid(item):
                raise self.wrong(item, wanted)
        return items

    def guard(self, function: Callable[[], T], where: str = "") -> T:
        """Call what belongs to this plugin, its hook or what is named by ``where``. Raises PluginError."""
        try:
            return function()
        except DaskbridgeError:
            raise
        except Exception as error:
            msg = f"{self.origin} failed in {where or self.hook}: {type(error).__name__}: {error}"
            raise PluginError(msg, hint=self.hint) from error

    def guarded(self, function: Callable[..., T], where: str) -> Callable[..., T]:
        """Return a function of this plugin's that is called so."""
        return lambda *given: self.guard(lambda: function(*given), where)

    def wrong(self, answer: object, wanted: str) -> PluginError:
        """Word a wrong answer."""
        msg = f"{self.origin} answered {self.hook} with {answer!r}; expected {wanted}"
        return PluginError(msg, hint=self.hint)
