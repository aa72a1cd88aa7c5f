"""Results that need the cluster after it is gone are refused while it is still there."""

from __future__ import annotations

import asyncio
import inspect
from typing import get_type_hints

import dask
import pytest
from distributed import LocalCluster, get_client

from daskbridge import ClusterClass, Dask, on_dask
from daskbridge.errors import ResultOutlivesCluster

PROVISIONER = ClusterClass(
    LocalCluster, {"processes": False, "n_workers": 0, "dashboard_address": "127.0.0.1:0"}
)
on_cluster = on_dask(Dask(), provisioner=PROVISIONER, code=False)


def future():
    return get_client().submit(int, 1, pure=False)


def persisted():
    return dask.delayed(int)(1).persist()


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (future, "the returned value is a future ('int-"),
        (persisted, "the returned value is a persisted Delayed"),
        (lambda: [1, future()], "the returned value[1] is a future"),
        (lambda: {"a": (0, {"b": persisted()})}, "the returned value['a'][1]['b'] is a persisted"),
        (lambda: {future()}, "an element of the returned value is a future"),
    ],
    ids=["future", "persisted", "list", "nested", "set"],
)
def test_what_lies_on_the_cluster_can_t_be_returned(make, place):
    with pytest.raises(ResultOutlivesCluster) as caught:
        on_cluster(make)()
    assert str(caught.value).startswith(place)
    assert caught.value.__notes__[0].startswith("hint: return ")


def test_values_and_lazy_collections_may_leave():
    lazy, value = on_cluster(lambda: (dask.delayed(int)(2), future().result()))()
    assert (lazy.compute(scheduler="sync"), value) == (2, 1)


def test_a_result_that_refers_to_itself_is_walked_once():
    def ring():
        items = []
        items.append(items)
        return items

    assert on_cluster(ring)()


def test_an_async_function_awaits_on_its_own_client():
    @on_cluster
    async def body(n: int) -> int:
        return await get_client().submit(int, n)

    assert inspect.iscoroutinefunction(body)
    assert asyncio.run(body(3)) == 3


def test_an_async_function_s_future_is_refused():
    @on_cluster
    async def body():
        return get_client().submit(int, 1)

    with pytest.raises(ResultOutlivesCluster, match="a future"):
        asyncio.run(body())


def test_signature_name_and_types_are_kept():
    def crunch(n: int, *, deep: bool = False) -> list[int]:
        """Crunch."""

    wrapped = on_cluster(crunch)
    assert inspect.signature(wrapped) == inspect.signature(crunch)
    assert (wrapped.__name__, wrapped.__doc__) == ("crunch", "Crunch.")
    assert get_type_hints(wrapped) == get_type_hints(crunch)


def test_dask_compute_in_the_body_runs_on_the_cluster():
    def where():
        from distributed import get_worker

        return get_worker().address

    assert on_cluster(lambda: dask.delayed(where)().compute())().startswith("inproc://")


def test_a_deep_result_is_walked_without_recursion():
    def deep():
        value = []
        for _ in range(50_000):
            value = [value]
        return value

    assert on_cluster(deep)()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"topology": [{"workers": {"env": {"TOKEN": "secret"}}}]},
            "topology is a list; expected daskbridge.Dask",
        ),
        (
            {"provisioner": ClusterClass},
            "provisioner is the class ClusterClass; expected a name, or an object",
        ),
        ({"provisioner": 5}, "provisioner is a int; expected"),
        ({"cancel": 5}, "cancel is a int; expected an event"),
        ({"name": 5}, "name is a int; expected a string"),
    ],
    ids=["topology", "class", "number", "cancel", "name"],
)
def test_an_argument_of_the_wrong_kind_is_refused_when_it_is_given(arguments, words):
    with pytest.raises(TypeError, match=words):
        on_dask(**{"topology": Dask()} | arguments)
