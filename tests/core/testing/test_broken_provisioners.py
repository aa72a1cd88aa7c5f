"""The kit fails a provisioner that does one thing wrong by the test of that thing, and passes a sound one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.testing.suites import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MUTANTS = Path(__file__).with_name("mutants.py")
SUITE = """
    from daskbridge.testing import ProvisionerSuite

    class TestMutant(ProvisionerSuite):
        provisioner = "mutant"
        patience = 15
        settles = 2
"""
PLUGIN = """

from daskbridge.plugins import hookimpl


@hookimpl
def daskbridge_provisioners():
    return [{name}()]
"""
#: Each with the programs that it has a part in, and the tests that fail.
BROKEN = {
    "NotEquipped": ("life two", "a_body_gets_a_cluster_and_its_result_comes_back"),
    "WorkersWithoutCode": ("life", "tasks_on_the_first_workers_import_the_project"),
    "SchedulerWithoutCode": ("life", "the_scheduler_imports_the_project"),
    "LateWithoutCode": ("life handle", "a_worker_that_joins_late_imports_the_project"),
    "BehindAFirewall": (
        "life",
        "results_pass_from_worker_to_worker the_dashboard_answers_before_the_body_begins",
    ),
    "LeavesAProcess": ("life endings cancels", "nothing_is_left_after_a_success"),
    "LeavesAFile": ("life handle", "nothing_is_left_after_a_success"),
    "LeavesAFileInTheEnd": ("life sigterm", "nothing_is_left_after_the_program"),
    "LeavesTheCancelled": ("life endings cancels", "nothing_is_left_of_a_start_that_takes_too_long"),
    "LeavesTheCancelledToTheirBound": (
        "life endings cancels",
        "nothing_is_left_of_provisioning_that_was_cancelled",
    ),
    "HoldsOnToTheCancelled": (
        "life endings cancels",
        "a_cancel_ends_provisioning a_cancel_ends_the_body_and_its_cluster",
    ),
    "CannotSayWhatIsLost": ("lost", "a_lost_scheduler_ends_the_body nothing_is_left_of_a_lost_cluster"),
    "BlocksTheLoop": ("life handle", "the_loop_goes_on_while_it_provisions"),
    "ClosesOnce": ("life handle", "closing_ends_all_and_a_second_time_nothing"),
    "OneWorkerLess": ("life", "as_many_workers_come_as_were_asked"),
    "OneWorkerMore": ("life handle", "as_many_workers_come_as_were_asked"),
    "IgnoresAllThatItDeclares": (
        "shape",
        """
        a_worker_runs_as_many_tasks_at_once_as_asked
        nodes_have_their_environment_variables
        nodes_have_dask_s_configuration
        workers_have_their_memory
        workers_have_their_abstract_resources
        workers_spill_to_their_directory
        an_adaptive_group_grows_with_its_work
        """,
    ),
    "NamesWorkersOtherwise": ("life shape", "all_that_is_declared_can_be_asked_at_once"),
    "NamesWorkersAtRandom": ("shape", "workers_are_named_after_their_group"),
    "TellsTheWorld": ("shape", "no_process_shows_a_variable_s_value_in_its_arguments"),
    "LeaksConfiguration": ("life", "a_run_leaves_its_process_as_it_was"),
    "KeepsAPort": ("life", "a_run_leaves_its_process_as_it_was"),
    "AnswersNothing": (
        "life handle",
        "its_handle_has_what_a_handle_has logs_are_texts_by_name a_reference_is_attached_to_or_refused",
    ),
    "SaysThatAllIsWell": ("life handle", "a_sound_cluster_has_no_failure"),
    "DoesNotScale": ("life handle", "scaling_does_what_it_says"),
    "WaitsWhenAskedToClose": ("handle", "asking_to_close_returns_at_once"),
    "Survives": ("life endings sigterm sigkill lost", "nothing_is_left_after_sigkill"),
    "UnknownCapability": ("", "its_capabilities_are_known_names"),
    "StartsWhenValidating": ("plugin", "validating_starts_nothing"),
    "ValidatesLater": ("plugin", "validating_starts_nothing"),
    "SlowToImport": ("plugin", "its_module_is_cheap_to_import"),
    "NotAProvisioner": ("", "it_is_found_by_its_name"),
}
#: What a plugin's module has beside its class.
MODULES = {"SlowToImport": "\nimport distributed\n"}


def judged(directory, name, only=()):
    """Run the suite of a provisioner of ``mutants``."""
    source = MUTANTS.read_text("utf-8") + PLUGIN.format(name=name) + MODULES.get(name, "")
    return run(directory, SUITE, {"mutant": source}, only=only)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_fails_by_its_tests_alone(name, tmp_path):
    programs, tests = BROKEN[name]
    outcome = judged(tmp_path, name, programs.split())
    assert set(outcome.failed) == {f"test_{test}" for test in tests.split()}, outcome.output


def test_a_sound_one_passes_all(tmp_path):
    outcome = judged(tmp_path, "Sound")
    assert (outcome.failed, outcome.skipped) == ({}, {}), outcome.output
    assert len(outcome.passed) > len(BROKEN)
