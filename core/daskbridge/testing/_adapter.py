"""What every adapter has to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daskbridge.plugins import plugins
from daskbridge.testing._attempts import AttemptTests, told_to_end
from daskbridge.testing._common import PROGRAMS, QUICK_STEPS, CommonSuite
from daskbridge.testing._scenario import Scenario

if TYPE_CHECKING:
    from daskbridge.testing._scenario import Report

RETRIED: Final = Scenario("retried", f"{PROGRAMS}.attempts:retried")
CANCELLED: Final = (
    Scenario("cancelled_start", f"{PROGRAMS}.attempts:starting", act=told_to_end, settings=QUICK_STEPS),
    Scenario("cancelled_body", f"{PROGRAMS}.attempts:running", act=told_to_end),
    Scenario("cancelled_async", f"{PROGRAMS}.attempts:running_async", act=told_to_end),
)


class AdapterSuite(AttemptTests, CommonSuite):
    """Test an adapter: inherit as ``Test...``, name the orchestrator, say how it runs a body, and run pytest.

    ``adapter`` is the orchestrator's name in an installed plugin, ``run_body`` runs a body as its task. The
    suite's programs have its ``provisioner``, by default ``local``, in Dask's configuration.

    >>> class TestAcme(AdapterSuite):
    ...     adapter = "acme"
    ...     lacks = {"run_retried": "acme has no retries"}
    ...
    ...     @staticmethod
    ...     def run_body(topology, body):
    ...         import acme
    ...         from daskbridge_acme import on_dask
    ...
    ...         return acme.run(on_dask(topology)(body))
    """

    @property
    def targets(self) -> tuple[str, ...]:
        """Name those whose capabilities count."""
        own = self.adapter in plugins().names("daskbridge_provisioners")
        return (self.provisioner, self.adapter) if own else (self.provisioner,)

    def settings(self) -> dict[str, str]:
        """Return the environment variables of every program of this suite."""
        return {**super().settings(), "DASK_DASKBRIDGE__PROVISIONER": self.provisioner}

    def scenarios(self) -> list[Scenario]:
        """List the programs of this suite."""
        own = [Scenario("task", f"{PROGRAMS}.task", settings=QUICK_STEPS)]
        own += [RETRIED] if self.gives("run_retried") else []
        own += CANCELLED if self.gives("cancel") else []
        return [*super().scenarios(), *own]

    def preconditions(self, life: Report) -> None:
        """Skip the first test where a body is called twice: the second time its project is renamed away."""
        task = life.of_other("task")
        counted = task.observations.get("times")
        if counted is not None and (counted.value or 0) > 1:
            self.given(self.test_a_task_runs_its_body_once, task)

    def ready_for_code(self, life: Report) -> None:
        """Skip the tests of the code where no task is known to be the orchestrator's."""
        self.known(life.of_other("task"))
