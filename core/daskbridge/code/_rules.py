"""Which names never ship, and the ignore files that leave others out."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pathspec

from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Names that stay behind unless a project's own rules bring them back.
BUILT_IN = (
    "__pycache__/",
    "*.py[co]",
    ".venv/",
    "venv/",
    ".tox/",
    ".nox/",
    "node_modules/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".ipynb_checkpoints/",
    ".eggs/",
    "*.egg-info/",
    ".idea/",
    ".vscode/",
    ".DS_Store",
    ".coverage",
    "htmlcov/",
)

#: Names that hold secrets, or a repository's whole history; only ``allow`` lets one through.
SECRETS = (
    ".git",
    ".hg",
    ".svn",
    ".env*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.tfstate",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".npmrc",
    ".pgpass",
    ".htpasswd",
    ".vault-token",
    ".git-credentials",
    ".aws",
    ".azure",
    ".boto",
    ".docker",
    ".gcloud",
    ".gnupg",
    ".kube",
    ".ssh",
    "kubeconfig",
    "credentials.json",
    "client_secret*.json",
    "service-account*.json",
    "service_account*.json",
    "secrets.toml",
)


@dataclass(frozen=True)
class Rules:
    """Hold the patterns of one ignore file.

    They speak about paths below ``base``; ``above`` is the root's own path below the directory
    of an ignore file that lies above the root.
    """

    origin: str
    lines: tuple[tuple[int, str], ...]
    base: str = ""
    above: str = ""

    @cached_property
    def spec(self) -> pathspec.GitIgnoreSpec:
        """Return the patterns, made when they are first asked. Raises BundleError for a malformed one."""
        try:
            return pathspec.GitIgnoreSpec.from_lines([line for _, line in self.lines])
        except ValueError as error:
            msg = f"{self.origin} has a pattern that gitignore does not know: {error}"
            raise BundleError(msg) from error

    def verdict(self, path: str) -> tuple[bool, str] | None:
        """Return whether ``path`` is left out and by which line; None if no line speaks about it.

        A directory's path ends with a slash.
        """
        if not path.startswith(self.base):
            return None
        result = self.spec.check_file(self.above + path[len(self.base) :])
        if result.include is None or result.index is None:
            return None
        number, text = self.lines[result.index]
        return result.include, f"{self.origin}:{number} {text}" if number else f"{self.origin}: {text}"


def built_in() -> Rules:
    """Return the rules that hold without any file."""
    return Rules("built-in", tuple((0, name) for name in BUILT_IN))


def rules(
    origin: str, lines: Iterable[str], base: str = "", above: str = "", *, numbered: bool = True
) -> Rules | None:
    """Parse gitignore patterns; None if there are none. Raises BundleError for a malformed one."""
    kept = [
        (number if numbered else 0, line.rstrip("\r\n"))
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    if not kept:
        return None
    made = Rules(origin, tuple(kept), base, above)
    _ = made.spec
    return made


def rules_file(path: str, origin: str, base: str = "", above: str = "") -> Rules | None:
    """Parse an ignore file; None if it is absent or empty."""
    try:
        text = Path(path).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    return rules(origin, text.removeprefix("\ufeff").splitlines(), base, above)


@cache
def _secret() -> re.Pattern[str]:
    return re.compile("|".join(f"({fnmatch.translate(name)})" for name in SECRETS), re.IGNORECASE)


def secret(name: str) -> str | None:
    """Return the pattern of the deny list that a file's or directory's name matches.

    >>> secret(".env.local")
    '.env*'
    """
    found = _secret().match(name)
    return SECRETS[found.lastindex - 1] if found and found.lastindex else None
