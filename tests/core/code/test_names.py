"""The quick look at names never passes over an entry about which a rule speaks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pathspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskbridge.code import CodeSpec, _walk, scan
from daskbridge.code._names import Names

NAMES = st.sampled_from(["a", "b.py", "b.pyc", "build", "keep", "x y", "ä.txt", "Q.PYC", "-b", "#c", "b.pyx"])
PARTS = st.one_of(
    NAMES, st.sampled_from(["*", "**", "*.py", "b*", "?", "*.py[co]", "[ab]*", "[!a]", "\\#c", "k?ep"])
)
LINES = st.builds(
    lambda no, start, parts, end: no + start + "/".join(parts) + end,
    st.sampled_from(["", "!"]),
    st.sampled_from(["", "/", "**/"]),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "/", "/**", " "]),
)
PATHS = st.lists(NAMES, min_size=1, max_size=3)


class Everything(Names):
    """Let every rule be asked about every entry."""

    def __contains__(self, name):
        return True


def tree(root, paths, rules):
    for parts in paths:
        target = root.joinpath(*parts)
        if not any(place.is_file() for place in target.parents) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    for place, lines in rules:
        if root.joinpath(place).is_dir():
            root.joinpath(place, ".gitignore").write_text("\n".join(lines))


@given(
    paths=st.lists(PATHS, min_size=1, max_size=8),
    rules=st.lists(st.tuples(st.sampled_from(["", "a", "build"]), st.lists(LINES, max_size=4)), max_size=2),
    exclude=st.lists(LINES, max_size=2),
    include=st.one_of(st.just([]), st.lists(LINES.filter(lambda line: line[0] != "!"), max_size=1)),
)
def test_what_ships_is_the_same_as_if_every_rule_were_asked_about_every_name(paths, rules, exclude, include):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "project")
        root.mkdir()
        tree(root, paths, rules)
        spec = CodeSpec([root], exclude=exclude, include=include)
        quick = scan(spec)
        kept = _walk.Names
        _walk.Names = Everything
        try:
            asked = scan(spec)
        finally:
            _walk.Names = kept
        assert quick == asked


PATTERNS = [
    *(
        "*.py[cod]",
        "[!a]b",
        "[^a]b",
        "[a-c]b",
        "[]]b",
        "\\#c",
        "\\!x",
        "a\\ b",
        "b ",
        "b\\ ",
        " b",
        "**",
        "**/b",
        "b/**",
    ),
    *("a/*", "/b", "b/", "*b*", "?b", "*?", "B", "*.B", "x*b", "!b", "ä*", "a**b", "#c"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_name_that_a_pattern_means_is_always_among_its_names(pattern):
    spec = pathspec.GitIgnoreSpec.from_lines([pattern.removeprefix("!")])
    names = Names([pattern])
    for name in (
        "a",
        "b",
        "B",
        " b",
        "b ",
        "xb",
        "cb",
        "]b",
        "#c",
        "!x",
        "a b",
        "x.pyc",
        "x.b",
        "x.B",
        "ä",
        "axb",
    ):
        for path in (name, f"a/{name}", f"{name}/"):
            if spec.match_file(path) and not (path != name and spec.match_file("a/")):
                assert name in names, path
