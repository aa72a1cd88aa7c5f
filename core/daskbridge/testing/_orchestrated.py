"""What an author says of an adapter: how a body is run as a task, and what is seen of that task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.testing._code import CodeTests
from daskbridge.testing._suite import place_of, skip

if TYPE_CHECKING:
    from collections.abc import Callable


class Orchestrated(CodeTests):
    """Say how tasks are run. All of this is called in driver programs, which load the author's file by its path.

    So the file imports what it needs within these functions or by absolute names, and they are independent
    of pytest's fixtures. ``static`` methods will do. Only :meth:`run_body` must be there; without another one
    the tests that need it are skipped and say so. Where an orchestrator can't do it say that in ``lacks``:
    the methods' names are abilities, too.
    """

    #: The orchestrator's name in the plugin: ``Orchestrator.name``.
    adapter: str = ""
    #: Top-level modules that importing the plugin must not load, beside that of ``Orchestrator.loaded``.
    orchestrator_modules: tuple[str, ...] = ()
    #: Patterns of the names of threads and temporary files that the orchestrator itself leaves behind.
    leaves: tuple[str, ...] = ()

    @staticmethod
    def run_body(topology: Any, body: Callable[[], Any]) -> Any:  # noqa: ANN401 -- the author's
        """Run ``body()`` as a task that has a cluster; return its result, raise its error.

        ``body`` is a function of a user's module, without arguments, and returns a string; an ``async``
        one is awaited, unless ``lacks`` has ``async-bodies``. ``topology`` is a ``Dask``; a document, as a
        mapping, unless ``lacks`` has ``documents``. The task runs in this process, in any thread.
        """
        raise NotImplementedError

    @staticmethod
    def run_retried(topology: Any, body: Callable[[], Any]) -> Any:  # noqa: ANN401 -- as above
        """Run ``body()`` as a task that has a second attempt if its first fails; return its result."""
        raise NotImplementedError

    @staticmethod
    def user_error(error: Exception) -> BaseException | None:
        """Return the error that a body raised, of that which came out of :meth:`run_body`; None if it is that.

        To override where the orchestrator wraps errors.
        """
        return error

    @staticmethod
    def prepare() -> None:
        """Run a task without a cluster, so that what the orchestrator leaves in a process is not the adapter's.

        By default nothing happens. To override where the orchestrator has threads, handlers or connections
        that stay.
        """

    @staticmethod
    def cancel() -> None:
        """Tell the task that runs to end, as the orchestrator does; called in another thread than the task's."""
        raise NotImplementedError

    @staticmethod
    def run_name() -> str:
        """Return what the orchestrator calls the run of the task that runs; called in its body, as the rest is."""
        raise NotImplementedError

    @staticmethod
    def published() -> object:
        """Return what a person is shown of the task that runs, such as links, as text or a collection."""
        raise NotImplementedError

    @staticmethod
    def heard() -> object:
        """Return what the orchestrator has heard from the task that runs: heartbeats, progress.

        It is empty, or false, until there is something, and differs once there is more.
        """
        raise NotImplementedError

    @staticmethod
    def logged() -> object:
        """Return what the log of the task that runs holds, as text or lines."""
        raise NotImplementedError

    def order(self) -> dict[str, Any]:
        """Return what every program of this suite gets to know."""
        given = [name for name in OPTIONAL if self.gives(name)]
        own = {"suite": place_of(type(self)), "adapter": self.adapter, "given": given, "leaves": self.leaves}
        return {**super().order(), **own}

    def gives(self, name: str) -> bool:
        """Tell whether the author has said something."""
        return name not in self.lacks and getattr(type(self), name) is not getattr(Orchestrated, name)

    def asks(self, name: str) -> None:
        """Skip a test of what the author has not said."""
        self.needs(name)
        if not self.gives(name):
            what = str(getattr(Orchestrated, name).__doc__).partition(".")[0]
            skip(f"{type(self).__name__} has no {name}(): {what[0].lower()}{what[1:]}")


#: What an author may leave out, each with tests that need it.
OPTIONAL = ("run_retried", "cancel", "run_name", "published", "heard", "logged")
