"""Say where the time of one local cluster goes, as its driver sees it."""

from __future__ import annotations

import re
from collections import Counter

from _programs import Case, run

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)")
#: Packages to list, and those that bring many others, whose sum is told.
MOST, SUMS = 14, ("distributed", "dask")


def profile(workers: int) -> None:
    """Print the timelines of a process's first and second cluster, then what the driver imports."""
    measured, _ = run(Case("daskbridge", workers, clusters=2))
    script, imported = (measured.told["moments"][name] - measured.began for name in ("script", "imported"))
    first, second = ({name: rest for name, *rest in steps} for steps in measured.told["steps"])
    marks = measured.marks
    print(f"one process with two clusters of {workers} workers, one after the other; seconds\n")
    print(f"{'step':<26}{'first':>8}{'second':>8}")
    print(f"{'start of the interpreter':<26}{script:>8.3f}")
    print(f"{'import of names':<26}{imported - script:>8.3f}")
    for name in first | second:
        one, other = first.get(name, (0.0, "")), second.get(name, (0.0, ""))
        print(f"{name:<26}{one[0]:>8.3f}{other[0]:>8.3f}  {one[1]}")
    print(f"{'to the first result':<26}{marks[0].at:>8.3f}{marks[2].at - marks[1].resumed:>8.3f}")
    print(f"{'CPU, with close':<26}{marks[1].cpu:>8.2f}{marks[3].cpu - marks[1].cpu:>8.2f}")
    print(f"{'end of the process':<26}{measured.whole - marks[3].resumed:>8.3f}")
    _, log = run(Case("daskbridge", workers), "-X", "importtime")
    alone: Counter[str] = Counter()
    totals: dict[str, int] = {}
    for own, total, _, name in LINE.findall(log):
        alone[name.partition(".")[0]] += int(own)
        totals.setdefault(name, int(total))
    seconds = sum(alone.values()) / 1e6
    print(f"\nimports of the driver, in a run of their own, slowed by -X importtime: {seconds:.3f} s")
    for name, micros in alone.most_common(MOST):
        within = f"  with all that it brings {totals[name] / 1e6:.3f}" if name in SUMS else ""
        print(f"{name:<26}{micros / 1e6:>8.3f}{within}")
