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
    "LeavesAProcess": ("life endings cancels", "nothing_is_left_after_a_success"),
    "LeavesAFile": ("life endings handle", "nothing_is_left_after_a_success"),
    "LeavesTheCancelled": ("life endings cancels", "nothing_is_left_of_a_start_that_takes_too_long"),
    "BlocksTheLoop": ("life handle", "the_loop_goes_on_while_it_provisions"),
    "ClosesOnce": ("life handle", "closing_ends_all_and_a_second_time_nothing"),
    "OneWorkerLess": ("life handle shape", "as_many_workers_come_as_were_asked"),
    "OneWorkerMore": ("life handle", "as_many_workers_come_as_were_asked"),
    "IgnoresThreads": ("shape", "a_worker_runs_as_many_tasks_at_once_as_asked"),
    "IgnoresEnv": ("shape", "nodes_have_their_environment_variables"),
    "IgnoresResources": ("shape", "workers_have_their_memory"),
    "IgnoresAbstractResources": ("shape", "workers_have_their_abstract_resources"),
    "IgnoresLocalDirectory": ("shape", "workers_spill_to_their_directory"),
    "IgnoresMaxWorkers": ("shape", "an_adaptive_group_grows_with_its_work"),
    "IgnoresConfig": ("shape", "nodes_have_dask_s_configuration"),
    "NamesWorkersOtherwise": ("life shape", "all_that_is_declared_can_be_asked_at_once"),
    "TellsTheWorld": ("shape", "no_process_shows_a_variable_s_value_in_its_arguments"),
    "LeaksConfiguration": ("life", "a_run_leaves_its_process_as_it_was"),
    "KeepsAPort": ("life", "a_run_leaves_its_process_as_it_was"),
    "CannotAttach": ("handle", "a_reference_is_attached_to_or_refused"),
    "LogsNothing": ("handle", "logs_are_texts_by_name"),
    "SaysThatAllIsWell": ("life handle", "a_sound_cluster_has_no_failure"),
    "AnotherKind": ("life handle", "its_handle_has_what_a_handle_has"),
    "DoesNotScale": ("life handle", "scaling_does_what_it_says"),
    "WaitsWhenAskedToClose": ("handle", "asking_to_close_returns_at_once"),
    "Survives": ("life endings sigterm sigkill lost", "nothing_is_left_after_sigkill"),
    "UnknownCapability": ("", "its_capabilities_are_known_names"),
    "StartsWhenValidating": ("plugin", "validating_starts_nothing"),
    "NotAProvisioner": ("", "it_is_found_by_its_name"),
}


def judged(directory, name, only=(), after=""):
    """Run the suite of a provisioner of ``mutants``, ``after`` which is more source."""
    source = MUTANTS.read_text("utf-8") + PLUGIN.format(name=name) + after
    return run(directory, SUITE, {"mutant": source}, only=only)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_fails_by_its_test_alone(name, tmp_path):
    programs, test = BROKEN[name]
    outcome = judged(tmp_path, name, programs.split())
    assert set(outcome.failed) == {f"test_{test}"}, outcome.output


def test_a_module_that_is_slow_to_import_fails_by_its_test_alone(tmp_path):
    outcome = judged(tmp_path, "Sound", ["plugin"], after="\nimport distributed\n")
    assert set(outcome.failed) == {"test_its_module_is_cheap_to_import"}, outcome.output


def test_a_sound_one_passes_all(tmp_path):
    outcome = judged(tmp_path, "Sound")
    assert (outcome.failed, outcome.skipped) == ({}, {}), outcome.output
    assert len(outcome.passed) > len(BROKEN)
