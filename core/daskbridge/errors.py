"""The errors that daskbridge raises: what was given, what was expected, the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


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


class ProvisioningError(DaskbridgeError):
    """Report a cluster that could not be started or reached."""

    retryable = True


class EnvironmentMismatch(DaskbridgeError):
    """Report nodes whose Python or packages differ from the driver's in what breaks pickling."""


class ClusterLost(DaskbridgeError):
    """End a body whose scheduler died or was replaced: the new one knows neither code nor data."""

    retryable = True


class RunCancelled(DaskbridgeError):
    """End a run whose ``cancel`` event was set."""


class ResultOutlivesCluster(DaskbridgeError):
    """Refuse a result that needs the cluster after it is gone."""


class AmbiguousCluster(DaskbridgeError):
    """Refuse a bare ``Client()`` while two clusters are open in one process."""


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
