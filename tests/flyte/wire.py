"""Tasks as Flyte's backend gets them, without a backend, and programs that a user would run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def to_wire(task: Any, images: Mapping[str, str] | None = None) -> Any:
    """Return Flyte's own message for a task; ``images`` are those it has built, by environment."""
    try:
        from flyte._internal.image_cache import ImageCache
    except ModuleNotFoundError:  # an older Flyte
        from flyte._internal.imagebuild.image_builder import ImageCache
    from flyte._internal.runtime.task_serde import translate_task_to_wire
    from flyte.models import CodeBundle, SerializationContext

    context = SerializationContext(
        version="v",
        # a pickled task is found without looking for its module
        code_bundle=CodeBundle(computed_version="v", pkl="code_bundle.pkl.gz", destination="."),
        image_cache=None if images is None else ImageCache(image_lookup=dict(images)),
    )
    return translate_task_to_wire(task, context)


def custom(task: Any, images: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the backend gets of a task's topology."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(to_wire(task, images).task_template.custom)


def finished(source: str, directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, to its end, which must be good."""
    (directory / "program.py").write_text(dedent(source))
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=directory,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def run(source: str, directory: Path, **environ: str) -> Any:
    """Do the same and return the JSON that the program printed last."""
    return json.loads(finished(source, directory, **environ).stdout.splitlines()[-1])
