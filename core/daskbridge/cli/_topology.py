"""The commands around a topology's document: validate, schema, render."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from daskbridge.errors import PluginError
from daskbridge.serialization import check, digest, json_schema, load

if TYPE_CHECKING:
    from daskbridge.plugins import Serializer, Target
    from daskbridge.topology import Dask, Resources, WorkerGroup


@click.command()
@click.argument("file")
@click.option("--to", "name", metavar="NAME", help="Check also what this target can do.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def validate(file: str, name: str | None, *, as_json: bool) -> None:
    """Say what FILE (JSON or YAML) describes, or what is wrong with it."""
    topology = load(file)
    adapted: tuple[str, ...] = ()
    if name is not None:
        from daskbridge.plugins import Provisioner, plugins

        target = plugins().target(name)
        topology, adapted = _fit(topology, target)
        if isinstance(target, Provisioner):
            target.validate(topology)
        else:
            plugins().serializer(name).render(topology)  # which refuses values that its form can't hold
    if as_json:
        result = {
            "file": file,
            "describes": describe(topology),
            "digest": digest(topology),
            "adapted": adapted,
        }
        click.echo(json.dumps(result, indent=2))
        return
    click.echo("\n".join([f"{file}: {describe(topology)}", *adapted]))


@click.command()
def schema() -> None:
    """Print the JSON Schema of a topology's document."""
    click.echo(json.dumps(json_schema(), indent=2))


@click.command()
@click.argument("file")
@click.option(
    "--to", "name", metavar="NAME", required=True, help="The target, as `daskbridge plugins` lists it."
)
@click.option("--yaml", "as_yaml", is_flag=True, help="Print YAML instead of JSON.")
def render(file: str, name: str, *, as_yaml: bool) -> None:
    """Print FILE (JSON or YAML) in the form of a target; nothing is contacted.

    What the target does in its own way is said on stderr.
    """
    serializer = _serializer(name)
    topology, adapted = _fit(load(file), serializer)
    for sentence in adapted:
        click.echo(sentence, err=True)
    text = json.dumps(serializer.render(topology), indent=2)
    if as_yaml:
        import yaml

        text = yaml.safe_dump(json.loads(text), sort_keys=False).rstrip("\n")
    click.echo(text)


def _serializer(name: str) -> Serializer:
    from daskbridge.plugins import plugins

    try:
        return plugins().serializer(name)
    except PluginError as error:
        if name not in plugins().names("daskbridge_provisioners"):
            raise
        msg = f"{name!r} is a provisioner: a topology has no form of its own there, but it can be checked"
        raise PluginError(msg, hint=f"daskbridge validate FILE --to {name}") from error


def _fit(topology: Dask, target: Target) -> tuple[Dask, tuple[str, ...]]:
    from daskbridge.plugins import plugins

    adjusted = plugins().topology(topology, target)
    return adjusted, check(adjusted, target)


def describe(topology: Dask) -> str:
    """Return one line for people: how many nodes of what size.

    >>> from daskbridge import Dask, Resources, WorkerGroup
    >>> describe(Dask(workers=WorkerGroup(4, resources=Resources(cpu=2, memory="4Gi"))))
    '4 workers of 2 CPUs and 4Gi, 1 scheduler'
    """
    groups = [
        f"{_count(group)}{'' if name == 'default' else f' ({name})'}{_size(group.resources)}"
        for name, group in topology.groups.items()
    ]
    return ", ".join([*groups, f"1 scheduler{_size(topology.scheduler.resources)}"])


def _count(group: WorkerGroup) -> str:
    if group.max_workers is not None:
        return f"{group.number_of_workers} to {group.max_workers} workers"
    return f"{group.number_of_workers} worker{'' if group.number_of_workers == 1 else 's'}"


def _size(resources: Resources | None) -> str:
    if resources is None:
        return ""
    cpu, memory = (each[0] if isinstance(each, tuple) else each for each in (resources.cpu, resources.memory))
    parts = [
        cpu is not None and f"{cpu} CPU{'' if str(cpu) == '1' else 's'}",
        memory is not None and (memory if isinstance(memory, str) else f"{memory} bytes"),
        resources.gpu and f"GPU {resources.gpu}",
    ]
    said = " and ".join(part for part in parts if part)
    return f" of {said}" if said else ""
