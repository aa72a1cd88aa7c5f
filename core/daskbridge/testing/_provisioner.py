"""What every provisioner has to do, beside what every cluster has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daskbridge.testing._common import PROGRAMS, QUICK_STEPS, CommonSuite
from daskbridge.testing._programs.handle import FIRST, THEN
from daskbridge.testing._scenario import Scenario

if TYPE_CHECKING:
    from daskbridge.testing._scenario import Report, Stage

#: The part of ``import distributed`` that the import of a plugin's module may cost.
CHEAP = 0.25
#: Ticks of a thread, of 10 ms on an idle machine, for which the loop may stand still.
FEW = 20
#: The part of the time that a start may take, within which one that is cancelled has to end.
SOON = 0.5


class ProvisionerSuite(CommonSuite):
    """Test a provisioner: inherit as ``Test...``, name it, and run pytest.

    ``provisioner`` is its name, installed as a plugin; ``options`` are its ``provisioner_options`` of every
    topology. ``lacks`` maps abilities that it lacks, which the reference page lists, to reasons.
    ``surroundings`` starts what one driver program needs. The suite's programs are drivers in processes of
    their own, two at a time, in an empty directory and with a project that is renamed away. Each test asserts
    on what one of them saw.

    >>> class TestLocal(ProvisionerSuite):
    ...     provisioner = "local"
    """

    def scenarios(self) -> list[Scenario]:
        """List the programs of this suite."""
        return [
            Scenario("plugin", f"{PROGRAMS}.plugin"),
            *super().scenarios(),
            Scenario("handle", f"{PROGRAMS}.handle"),
            Scenario(
                "cancels",
                f"{PROGRAMS}.cancels",
                settings=QUICK_STEPS,
                reaches={"early": "test_a_cancel_ends_provisioning"},
            ),
        ]

    @pytest.fixture
    def plugin(self, stage: Stage) -> Report:
        """Give the report of a process that looked the provisioner up, and did nothing else."""
        return stage.report("plugin")

    @pytest.fixture
    def handle(self, stage: Stage) -> Report:
        """Give the report of a loop that drove the provisioner and its handle."""
        return stage.report("handle")

    @pytest.fixture
    def cancels(self, stage: Stage) -> Report:
        """Give the report of a process whose runs were cancelled."""
        return stage.report("cancels")

    def preconditions(self, life: Report) -> None:
        """Skip the first test where no run can work with what the plugin offers and the handle says."""
        plugin = life.of_other("plugin")
        self.given(self.test_it_is_found_by_its_name, plugin)
        self.given(self.test_its_capabilities_are_known_names, plugin)
        self.given(self.test_a_sound_cluster_has_no_failure, life.of_other("handle"))

    def test_it_is_found_by_its_name(self, plugin: Report) -> None:
        """The installed plugin offers the provisioner under its name."""
        plugin.of("found")
        assert plugin.of("name") == self.provisioner

    def test_its_capabilities_are_known_names(self, plugin: Report) -> None:
        """``capabilities``, ``adapts`` and ``advice`` name what a topology can ask."""
        self.given(self.test_it_is_found_by_its_name, plugin)
        assert plugin.of("words") == []

    def test_its_module_is_cheap_to_import(self, plugin: Report) -> None:
        """The plugin's module imports nothing heavy."""
        self.given(self.test_it_is_found_by_its_name, plugin)
        assert plugin.of("heavy") == []
        seconds, distributed = plugin.of("seconds")
        assert seconds <= CHEAP * distributed

    def test_validating_starts_nothing(self, plugin: Report) -> None:
        """``validate`` takes the suite's topology, at once, and starts no process, thread or connection."""
        self.given(self.test_its_capabilities_are_known_names, plugin)
        assert plugin.of("validated") == []

    def test_the_loop_goes_on_while_it_provisions(self, handle: Report) -> None:
        """``provision`` does not block the core's loop."""
        assert handle.of("stood still") <= FEW

    def test_its_handle_has_what_a_handle_has(self, handle: Report) -> None:
        """The handle has what ``ClusterHandle`` names; its reference survives JSON and has the right kind."""
        wanted = {"missing": [], "kind": self.provisioner, "ref": True, "notes": True, "security": True}
        assert handle.of("handle") == wanted

    def test_a_sound_cluster_has_no_failure(self, handle: Report) -> None:
        """``failure()`` is None while nothing is wrong."""
        assert handle.of("failure") is None

    def test_logs_are_texts_by_name(self, handle: Report) -> None:
        """``logs()`` is a mapping of names to texts."""
        assert set(handle.of("logs").items()) <= {("str", "str")}

    def test_a_reference_is_attached_to_or_refused(self, handle: Report) -> None:
        """``attach`` gives a handle on the same scheduler, or raises ``ProvisioningError``."""
        assert handle.of("attached") in {"attached", "refused"}

    def test_scaling_does_what_it_says(self, handle: Report) -> None:
        """``scale`` brings a group to more workers, and back."""
        self.needs("scale")
        assert handle.of("scaled") == [THEN, FIRST]

    def test_closing_ends_all_and_a_second_time_nothing(self, handle: Report) -> None:
        """``close`` ends the cluster; a second call is fine."""
        handle.of("closed")
        self.given(self.test_nothing_is_left_after_a_success, handle.of_other("life"))
        assert handle.of("left") == []
        handle.of("closed again")

    def test_asking_to_close_returns_at_once(self, handle: Report) -> None:
        """``request_close`` returns at once from another thread, even while the loop stands still."""
        self.given(self.test_closing_ends_all_and_a_second_time_nothing, handle)
        assert handle.of("asked")
        handle.of("closed after that")
        assert handle.of("left of the other") == []

    def test_a_cancel_ends_provisioning(self, cancels: Report) -> None:
        """A run that is cancelled while it provisions ends in ``RunCancelled``, and soon."""
        late = self.test_a_start_that_takes_too_long_is_an_error_that_says_so
        self.given(late, cancels.of_other("endings"))
        found = cancels.of("early")
        assert found["type"] == "RunCancelled", found
        assert found["seconds"] <= SOON * self.patience

    def test_nothing_is_left_of_provisioning_that_was_cancelled(self, cancels: Report) -> None:
        """What was started by then is gone, while the driver goes on."""
        endings = cancels.of_other("endings")
        self.given(self.test_nothing_is_left_of_a_start_that_takes_too_long, endings)
        assert cancels.of("left of the start") == []

    def test_a_cancel_ends_the_body_and_its_cluster(self, cancels: Report) -> None:
        """A body that waits ends in ``RunCancelled``, and its cluster is gone, while the driver goes on."""
        self.begun(cancels)
        assert cancels.of("late")["type"] == "RunCancelled", cancels.of("late")
        self.given(self.test_nothing_is_left_of_provisioning_that_was_cancelled, cancels)
        assert cancels.of("left of the body") == []
