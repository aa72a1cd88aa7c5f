"""What an author says of an adapter: how a body is run as a task, and what is seen of that task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.testing._code import CodeTests
from daskbridge.testing._suite import place_of, skip

if TYPE_CHECKING:
    from collections.abc import Callable


class Orchestrated(CodeTests):
    """Say how tasks are run.

    All methods that an author writes are called in driver programs, which load the author's file by its
    path: without fixtures of pytest's, and without relative imports at the file's top. Only :meth:`run_body`
    must be there. Tests that need another one are skipped without it, and say so; where an orchestrator can't
    do it, ``lacks`` gives the reason under the method's name.
    """

    #: The orchestrator's name in the plugin: ``Orchestrator.name``.
    adapter: str = ""
    #: Modules that importing the plugin must not load, beside the one that ``Orchestrator.loaded`` is in.
    orchestrator_modules: tuple[str, ...] = ()
    #: Patterns of the names of threads and temporary files that the orchestrator itself leaves behind.
    leaves: tuple[str, ...] = ()

    @staticmethod
    def run_body(topology: Any, body: Callable[[], Any]) -> Any:  # noqa: ANN401 -- the author's
        """Run ``body()`` as a task that has a cluster, once; return its result, raise its error.

        ``body`` is a function of a user's module. It has no arguments and returns text; an ``async`` one is
        awaited, unless ``lacks`` has ``async-bodies``. ``topology`` is a ``Dask``, or a mapping as of a YAML
        file, unless ``lacks`` has ``documents``. The task runs in this process, in any thread. Switch the
        orchestrator's retries off: a program whose body is called again after it failed is ended.
        """
        raise NotImplementedError

    @staticmethod
    def run_retried(topology: Any, body: Callable[[], Any]) -> Any:  # noqa: ANN401 -- as above
        """Run ``body()`` as a task that is tried once more if it fails; return its result."""
        raise NotImplementedError

    @staticmethod
    def user_error(error: Exception) -> BaseException | None:
        """Return the error that was raised in the task, of that which came out of :meth:`run_body`.

        None if it is that itself. To override where the orchestrator wraps errors.
        """
        return error

    @staticmethod
    def prepare() -> None:
        """Run a task without a cluster: what the orchestrator leaves in the process is not the adapter's.

        To override where the orchestrator keeps threads, signal handlers or connections.
        """

    @staticmethod
    def cancel() -> None:
        """Tell the task to end, as the orchestrator does; called in another thread than the task's.

        Where that is SIGTERM to its process: ``os.kill(os.getpid(), signal.SIGTERM)``.
        """
        raise NotImplementedError

    @staticmethod
    def run_name() -> str:
        """Return what the orchestrator calls the task's run; called in its body, as the three below."""
        raise NotImplementedError

    @staticmethod
    def published() -> object:
        """Return what a person is shown of the task while it runs, such as links: text, or a collection."""
        raise NotImplementedError

    @staticmethod
    def heard() -> object:
        """Return what the orchestrator has heard of the task: heartbeats, progress.

        It is empty or false until there is something, and differs once there is more.
        """
        raise NotImplementedError

    @staticmethod
    def logged() -> object:
        """Return what the log of the task holds: text, or lines."""
        raise NotImplementedError

    def order(self) -> dict[str, Any]:
        """Return what every program of this suite gets to know."""
        given = [name for name in OPTIONAL if self.gives(name)]
        own = {"suite": place_of(type(self)), "adapter": self.adapter, "given": given, "leaves": self.leaves}
        return {**super().order(), **own}

    def gives(self, name: str) -> bool:
        """Tell whether the author has written a method, and the target does not lack what it does."""
        return name not in self.lacks and getattr(type(self), name) is not getattr(Orchestrated, name)

    def asks(self, name: str) -> None:
        """Skip a test that needs a method which the author has not written."""
        self.needs(name)
        if not self.gives(name):
            what = str(getattr(Orchestrated, name).__doc__).partition("\n")[0]
            skip(f"{type(self).__name__} has no {name}(). {what}")


#: What an author may leave out, each with tests that need it.
OPTIONAL = ("run_retried", "cancel", "run_name", "published", "heard", "logged")
