"""Kubernetes quantities, exactly."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

from daskbridge.errors import TopologyError

_BINARY: Final = {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)}
_DECIMAL: Final = {letter: Fraction(1000) ** power for power, letter in enumerate("num kMGTPE", -3)}
_FACTORS: Final = {**_BINARY, **_DECIMAL, "": Fraction(1)}

_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_SUFFIX: Final = r"[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2}"
#: Valid in Python and in JSON Schema alike.
PATTERN: Final = rf"^{_NUMBER}(?:{_SUFFIX})?$"

_GRAMMAR: Final = re.compile(rf"({_NUMBER})({_SUFFIX})?")
_NEARLY: Final = re.compile(r"\s*([0-9.]+)\s*([kmgtpe])(?:i?b?|ib|bytes?)\s*", re.IGNORECASE)
_LONGEST: Final = 64


def parse_quantity(value: object) -> Fraction:
    """Return the exact value of a Kubernetes quantity.

    A string follows Kubernetes' grammar: a decimal number and at most one of ``n u m k M G T P E``
    (powers of 1000), ``Ki Mi Gi Ti Pi Ei`` (powers of 1024) or an exponent of up to two digits.
    ``1E`` is one exa, ``1E3`` is a thousand. A float stands for its shortest decimal form.
    Anything else, NaN and infinity among it, raises :class:`~daskbridge.errors.TopologyError`.

    >>> parse_quantity("500m"), parse_quantity(0.1), parse_quantity("1e3")
    (Fraction(1, 2), Fraction(1, 10), Fraction(1000, 1))
    >>> int(parse_quantity("4Gi"))
    4294967296
    """
    if isinstance(value, str):
        found = _GRAMMAR.fullmatch(value) if len(value) <= _LONGEST else None
        if found:
            number, suffix = found.groups("")
            factor = _FACTORS.get(suffix)
            return Fraction(value) if factor is None else Fraction(number) * factor
    elif isinstance(value, float) and math.isfinite(value):
        return Fraction(repr(value))
    elif isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    msg = f"{value!r} is not a quantity; a number or a string such as '500m', '1.5' or '4Gi' is expected"
    near = nearest_quantity(value)
    raise TopologyError(msg, hint=f"did you mean {near!r}?" if near else None)


def nearest_quantity(value: object) -> str | None:
    """Return what a slip of the units most likely means.

    >>> nearest_quantity("4 GB"), nearest_quantity("4GiB"), nearest_quantity("4gi")
    ('4Gi', '4Gi', '4Gi')
    """
    found = _NEARLY.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    return f"{found[1]}{found[2].upper()}i" if found else None
