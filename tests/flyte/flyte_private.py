"""All of Flyte's private API that the tests need; run as a program where users' code is imported.

``submit PROJECT TASK MODE OUT`` bundles a project's code and serializes one of its tasks as ``flyte run``
does before anything is sent. ``a0 ...`` is Flyte's own entry point with its local controller, so that a
task may call other tasks without a backend.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte.models import CodeBundle

#: The identity of each run. The backend tells it to a0 in arguments and in these variables.
ORG, PROJECT, DOMAIN = "org", "project", "domain"
IDENTITY = {
    "FLYTE_INTERNAL_EXECUTION_PROJECT": PROJECT,
    "FLYTE_INTERNAL_EXECUTION_DOMAIN": DOMAIN,
    "_U_ORG_NAME": ORG,
    # nothing listens there: a0 connects for child tasks only
    "_U_EP_OVERRIDE": "127.0.0.1:1",
    "_U_INSECURE": "1",
}


@dataclass(frozen=True)
class TaskError:
    """What ``error.pb`` tells the backend; it retries what is recoverable."""

    code: str
    message: str
    origin: str
    recoverable: bool


def read_outputs(directory: Path) -> list[Any] | None:
    """Return the values in ``outputs.pb``, or None where a0 wrote none."""
    from flyteidl2.task.common_pb2 import Outputs

    file = directory / "outputs.pb"
    if not file.exists():
        return None
    return [_value(named.value) for named in Outputs.FromString(file.read_bytes()).literals]


def _value(literal: Any) -> Any:
    if literal.HasField("collection"):
        return [_value(item) for item in literal.collection.literals]
    if literal.scalar.HasField("binary"):  # a dataclass
        import msgpack

        return msgpack.unpackb(literal.scalar.binary.value)
    primitive = literal.scalar.primitive
    return getattr(primitive, primitive.WhichOneof("value"))


def read_error(directory: Path) -> TaskError | None:
    """Return what is in ``error.pb``, or None where a0 wrote none."""
    from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument, ExecutionError

    file = directory / "error.pb"
    if not file.exists():
        return None
    error = ErrorDocument.FromString(file.read_bytes()).error
    origin = ExecutionError.ErrorKind.Name(error.origin)
    return TaskError(error.code, error.message, origin, error.kind == ContainerError.RECOVERABLE)


async def _submit(project: Path, name: str, mode: str, out: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    from flyte._internal.image_cache import ImageCache
    from flyte._internal.runtime.convert import convert_from_native_to_inputs
    from flyte._internal.runtime.task_serde import translate_task_to_wire
    from flyte._internal.runtime.taskrunner import replace_task_cli
    from flyte.models import ActionID, SerializationContext
    from flyteidl2.plugins.dask_pb2 import DaskJob
    from google.protobuf.json_format import MessageToDict, ParseDict

    module, _, attribute = name.partition(":")
    # only code of a notebook or a script travels pickled: what Flyte imports, it sends as files
    task = (
        runpy.run_path(str(project / f"{module}.py"), run_name="__main__")[attribute]
        if mode == "pkl"
        else getattr(importlib.import_module(module), attribute)
    )
    bundle = await _bundle(project, task, mode, out)
    context = SerializationContext(
        version=bundle.computed_version if bundle else "in-the-image",
        org=ORG,
        project=PROJECT,
        domain=DOMAIN,
        code_bundle=bundle,
        root_dir=project,
        image_cache=ImageCache(image_lookup={task.parent_env_name: "registry.invalid/image:1"}),
    )
    template = translate_task_to_wire(task, context).task_template
    native = await convert_from_native_to_inputs(task.native_interface, **inputs)
    action = ActionID(name="a0", run_name="run")
    args = replace_task_cli(list(template.container.args), native, out, action)
    told = MessageToDict(template)
    told["custom"] = MessageToDict(ParseDict(told["custom"], DaskJob()))
    return {"template": told, "args": args}


async def _bundle(project: Path, task: Any, mode: str, out: Path) -> CodeBundle | None:
    from flyte._code_bundle.bundle import build_code_bundle, build_pkl_bundle

    if mode == "tgz":
        return await build_code_bundle(project, dryrun=True, copy_bundle_to=out, copy_style="all")
    if mode == "pkl":
        return await build_pkl_bundle(task, upload_to_controlplane=False, copy_bundle_to=out)
    return None


def _run_a0(args: list[str]) -> None:
    from flyte._bin.runtime import _pass_through
    from flyte._internal import controllers

    create = controllers.create_controller
    controllers.create_controller = lambda ct, **_: create("local")  # noqa: ARG005 -- Flyte's own name
    _pass_through(args=args)


def main() -> None:
    """Run as a program; see the module."""
    if sys.argv[1] == "a0":
        sys.argv = sys.argv[1:]
        _run_a0(sys.argv)
        return
    project, name, mode, out = sys.argv[2:]
    sys.path.insert(0, project)
    submitted = asyncio.run(_submit(Path(project), name, mode, Path(out), json.load(sys.stdin)))
    (Path(out) / "task.json").write_text(json.dumps(submitted))


if __name__ == "__main__":
    main()
