from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskbridge import Resources
from daskbridge.errors import TopologyError
from daskbridge.topology import parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", Fraction(1, 2)),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("+1", Fraction(1)),
        ("-1Ki", Fraction(-1024)),
        ("4Gi", Fraction(4 * 1024**3)),
        ("0.1Gi", Fraction(1024**3, 10)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("1.5e-3", Fraction(3, 2000)),
        ("1E", Fraction(10**18)),
        ("1Ei", Fraction(2**60)),
        ("1k", Fraction(1000)),
        ("7n", Fraction(7, 10**9)),
        ("7u", Fraction(7, 10**6)),
        ("128974848", Fraction(128974848)),
        ("0.1", Fraction(1, 10)),
        (0.1, Fraction(1, 10)),
        (3, Fraction(3)),
    ],
    ids=repr,
)
def test_a_quantity_is_read_exactly(text, value):
    assert parse_quantity(text) == value


SUFFIXES = {
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
    "m": -3,
    "u": -6,
    "n": -9,
    "e-5": -5,
    "E07": 7,
}


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=0),
    st.sampled_from(sorted(SUFFIXES)),
)
def test_any_number_times_any_suffix_is_exact(number, suffix):
    if len(text := f"{number:f}{suffix}") <= 64:
        assert parse_quantity(text) == Fraction(number) * Fraction(10) ** SUFFIXES[suffix]


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 1",
        "1 Gi",
        "1\n",
        "lots",
        "4GB",
        "4gi",
        "1K",
        "1KI",
        "1e",
        "1e3Ki",
        "1e999999999",
        "0x10",
        "1_000",
        "1,5",
        "१",
        "9" * 65,
        ".",
        "-",
        "Gi",
        float("nan"),
        float("inf"),
        True,
        None,
        b"1",
        [1],
    ],
    ids=repr,
)
def test_what_kubernetes_does_not_know_is_no_quantity(value):
    with pytest.raises(TopologyError, match="is not a quantity"):
        parse_quantity(value)


def test_a_pair_gives_request_and_limit_and_a_value_only_a_request():
    resources = Resources(cpu="1500m", memory=("1Gi", "2G"), shm="auto")
    assert (resources.request("cpu"), resources.limit("cpu")) == (Fraction(3, 2), None)
    assert (resources.request("memory"), resources.limit("memory")) == (2**30, 2 * 10**9)
    assert (resources.request("disk"), resources.limit("disk")) == (None, None)
    assert resources.request("shm") is None
