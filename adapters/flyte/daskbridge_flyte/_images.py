"""Flyte's image objects in a topology: the name of what Flyte has built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import flyte
    from flyte.extend import TaskTemplate
    from flyte.models import SerializationContext


def image_of(image: Any, task: TaskTemplate[..., Any, Any], sctx: SerializationContext) -> str | None:  # noqa: ANN401 -- as given
    """Return the name of a node's image: a string as it is, a ``flyte.Image`` as Flyte has built it.

    Flyte builds the images of environments only. Raises TopologyError for an image that has to be built
    and belongs neither to the task nor to an environment that the task's own depends on.
    """
    if image is None or isinstance(image, str):
        return image
    built = sctx.image_cache.image_lookup if sctx.image_cache else {}
    for name, known in _built_with(task):
        if name in built and _equal(image, known):
            return built[name]
    if not sctx.image_cache or (image.base_image and image.uri == image.base_image):  # nothing to build
        return str(image.uri)
    msg = (
        f"task {task.name!r}: the image {image.name or image.base_image!r} of its scheduler or workers"
        " is built by no environment"
    )
    hint = "make an environment for it, flyte.TaskEnvironment(name, image=...), and list that in depends_on"
    raise TopologyError(msg, hint=hint)


def _built_with(task: TaskTemplate[..., Any, Any]) -> Iterator[tuple[str, object]]:
    """Yield the images that Flyte builds when it deploys the task, each with its environment's name."""
    yield str(task.parent_env_name), task.image
    first = task.parent_env() if task.parent_env else None
    left: list[flyte.Environment] = [first] if first else []
    seen: set[str] = set()
    while left:
        environment = left.pop()
        if environment.name not in seen:
            seen.add(environment.name)
            yield environment.name, environment.image
            left += environment.depends_on


def _equal(image: flyte.Image, known: object) -> bool:
    """Tell whether ``known`` is the image; Flyte replaces one of a name alone by one with a base."""
    if image == known:
        return True
    base = getattr(known, "base_image", None)
    return bool(base) and image.base_image is None and image.clone(base_image=base) == known
