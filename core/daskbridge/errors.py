"""The errors that daskbridge raises: what was given, what was expected, the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class DaskbridgeError(Exception):
    """Stand for every error that daskbridge raises on purpose.

    ``message`` says what was given and what was expected; ``hint``, the next step, is kept
    as a note (PEP 678), so that it is printed below the message and stays out of ``str()``.
    ``retryable`` tells an orchestrator whether the same attempt may succeed later: failures
    of starting are, wrong configurations are not.

    >>> raise DaskbridgeError("3 workers were asked for, 2 fit", hint="lower the memory")
    Traceback (most recent call last):
    ...
    daskbridge.errors.DaskbridgeError: 3 workers were asked for, 2 fit
    hint: lower the memory
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint:
            self.add_note(f"hint: {hint}")


class TopologyError(DaskbridgeError, ValueError):
    """Report a value that a topology or its document can't hold; the message starts with its path."""


class UnsupportedByTarget(DaskbridgeError):
    """Report what a topology asks and the chosen target can't do, before anything starts."""


class SettingError(DaskbridgeError, ValueError):
    """Report a setting under ``daskbridge:`` in Dask's configuration that is unknown or wrong."""


class PluginError(DaskbridgeError):
    """Report a plugin that is unknown, broken, duplicated or written for another API."""


class BundleError(DaskbridgeError):
    """Report code that can't be selected, packed, sent or installed."""


class CodeNotDelivered(BundleError):
    """Report nodes that could not get the code, or could not say which they have."""

    retryable = True


class CodeChanged(BundleError):
    """Report new code of a run whose nodes have other code, where nobody said that they should change."""


class StaleCode(DaskbridgeError):
    """Report a task or a result of code that the nodes no longer have."""


class ProvisioningError(DaskbridgeError):
    """Report a cluster that could not be started or reached."""

    retryable = True


class EnvironmentMismatch(DaskbridgeError):
    """Report nodes whose Python or packages differ from the driver's in what breaks pickling."""


#: What to do about it.
ONE_IMAGE = "use one image for all nodes, or set daskbridge.environment-check to warn or ignore"


class ScopeError(DaskbridgeError):
    """Report a scope in which this process can't share a cluster."""


class InsideDaskTask(DaskbridgeError):
    """Refuse a cluster inside a task of another Dask cluster, where ``get_client()`` reaches that one."""


class ClusterLost(DaskbridgeError):
    """End a body whose scheduler died or was replaced: the new one knows neither code nor data."""

    retryable = True


class LifetimeOver(DaskbridgeError):
    """End a body whose cluster has existed for the topology's ``max_lifetime``."""


class RunCancelled(DaskbridgeError):
    """End a run whose ``cancel`` event was set, or whose end was asked for before its body began."""


class ResultOutlivesCluster(DaskbridgeError):
    """Refuse a result that needs the cluster after it is gone."""


class AmbiguousCluster(DaskbridgeError):
    """Refuse a bare ``Client()`` that could mean any of several clusters of one process."""


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``given`` most likely stands for, or None.

    >>> nearest("schedular", ["scheduler", "workers"])
    'scheduler'
    """
    import difflib

    return next(iter(difflib.get_close_matches(given, list(known), n=1)), None)


def unknown(kind: str, given: object, known: Iterable[str]) -> str:
    """Word an unknown name: what was given, what there is, and the nearest match.

    >>> unknown("key", "worker", ["workers", "scheduler"])
    "unknown key 'worker'; known: scheduler, workers; did you mean 'workers'?"
    """
    names = sorted(known)
    text = f"unknown {kind} {given!r}; known: {', '.join(names) or 'none'}"
    near = nearest(str(given), names)
    return f"{text}; did you mean {near!r}?" if near else text


def comparison(
    kind: str,
    names: Iterable[str],
    nodes: Sequence[Mapping[str, str | None]],
    marks: Mapping[str, str] | None = None,
) -> str:
    """Word as a table what some ``nodes`` have of some names: the driver, the scheduler, then the workers.

    Where workers differ among themselves, each cell says how many have which, the most first. What
    a node lacks, or has as None, is ``-``. ``marks`` says something of a name, at the end.

    >>> new = {"dask": "2026.8.0"}
    >>> print(comparison("package", ["dask"], [new, new, {"dask": "2025.1.0"}, new, new]))
    package | driver   | scheduler | workers (3)
    dask    | 2026.8.0 | 2026.8.0  | 2026.8.0 (2), 2025.1.0 (1)
    """
    driver, scheduler, *workers = nodes
    rows = [(kind, "driver", "scheduler", f"workers ({len(workers)})", "")]
    for name in names:
        cells = (driver.get(name) or "-", scheduler.get(name) or "-", _counted(name, workers))
        rows.append((name, *cells, (marks or {}).get(name, "")))
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = [" | ".join(map(str.ljust, row, widths)).rstrip(" |") for row in rows]
    return "\n".join(lines)


def _counted(name: str, workers: Sequence[Mapping[str, str | None]]) -> str:
    from collections import Counter

    found = Counter(worker.get(name) or "-" for worker in workers)
    most_first = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    if len(most_first) > 1:
        return ", ".join(f"{version} ({count})" for version, count in most_first)
    return next(iter(found), "-")
