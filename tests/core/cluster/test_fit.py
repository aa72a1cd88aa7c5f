"""What a topology gets of a machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskbridge import Dask, Resources, WorkerGroup
from daskbridge.cluster._fit import LEAST_MEMORY, Machine, fit
from daskbridge.errors import ProvisioningError

LAPTOP = Machine(cpus=2, memory=8 * 2**30)


def test_four_workers_start_on_two_processors():
    shares, notes = fit(Dask(workers=WorkerGroup(4)), LAPTOP)
    assert (shares["default"].number, shares["default"].threads, notes) == (4, 1, ())
    assert shares["default"].memory == LAPTOP.memory // 4


def test_what_is_asked_is_what_a_worker_gets():
    group = WorkerGroup(2, resources=Resources(cpu="1500m", memory=("1Gi", "2Gi")))
    share = fit(Dask(workers=group), LAPTOP)[0]["default"]
    assert (share.threads, share.memory) == (2, 2 * 2**30)


def test_threads_win_over_processors():
    group = WorkerGroup(threads=7, resources=Resources(cpu=2))
    assert fit(Dask(workers=group), LAPTOP)[0]["default"].threads == 7


def test_more_than_the_memory_holds_is_lowered_and_said():
    topology = Dask(workers=WorkerGroup(4, resources=Resources(memory="3Gi")))
    shares, notes = fit(topology, LAPTOP)
    assert shares["default"].number == 2
    assert notes == ("default: 4 workers were asked for, 2 started (2 processors, 8.0 GiB)",)


def test_a_hundred_workers_become_what_a_laptop_bears():
    assert fit(Dask(workers=WorkerGroup(100)), LAPTOP)[0]["default"].number == 4


def test_groups_are_lowered_evenly():
    topology = Dask(workers=WorkerGroup(100), worker_groups={"big": WorkerGroup(100)})
    shares, notes = fit(topology, LAPTOP)
    assert [share.number for share in shares.values()] == [2, 2]
    assert len(notes) == 2


def test_a_worker_larger_than_the_machine_gets_what_there_is_and_that_is_said():
    shares, notes = fit(Dask(workers=WorkerGroup(resources=Resources(memory="16Gi"))), LAPTOP)
    assert (shares["default"].number, shares["default"].memory) == (1, LAPTOP.memory)
    assert notes == ("default: 16.0 GiB of memory were asked for a worker, 8.0 GiB given",)


def test_exactly_one_worker_that_does_not_fit_is_an_error():
    with pytest.raises(
        ProvisioningError, match=r"needs 9.0 GiB, this machine has 8.0 GiB \(default: 9.0 GiB\)"
    ):
        fit(Dask(workers=WorkerGroup(resources=Resources(memory="9Gi"))), LAPTOP, exact=True)


@pytest.mark.parametrize(
    ("group", "fits"), [(WorkerGroup(9), True), (WorkerGroup(4, resources=Resources(memory="3Gi")), False)]
)
def test_exactly_is_exactly_or_an_error(group, fits):
    topology = Dask(workers=group)
    if fits:
        assert fit(topology, LAPTOP, exact=True)[0]["default"].number == 9
    else:
        with pytest.raises(ProvisioningError, match="4 x 3.0 GiB"):
            fit(topology, LAPTOP, exact=True)


groups = st.builds(
    lambda number, memory: WorkerGroup(number, resources=memory and Resources(memory=memory)),
    st.integers(1, 50),
    st.none() | st.integers(2**26, 2**31),
)


@given(
    st.builds(Machine, st.integers(1, 64), st.integers(2**28, 2**36)),
    groups,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), groups, max_size=3),
)
def test_what_starts_fits_and_every_group_has_a_worker(machine, workers, further):
    topology = Dask(workers=workers, worker_groups=further)
    try:
        shares, notes = fit(topology, machine)
    except ProvisioningError:
        return
    assert all(1 <= share.number <= topology.groups[name].number_of_workers for name, share in shares.items())
    assert sum(share.number * share.memory for share in shares.values()) <= machine.memory
    assert len([note for note in notes if "workers were asked" in note]) == sum(
        shares[name].number != group.number_of_workers for name, group in topology.groups.items()
    )
    shrunk = [note for note in notes if "of memory were asked" in note]
    assert shrunk or all(share.memory >= min(LEAST_MEMORY, 2**26) for share in shares.values())
