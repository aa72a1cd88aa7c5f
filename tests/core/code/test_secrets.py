"""Files that hold secrets stay behind, those that only sound like it ship."""

from __future__ import annotations

import pytest

from daskbridge.code import CodeSpec, scan
from daskbridge.code._rules import SECRETS, secret
from daskbridge.errors import BundleError

#: For each pattern of the deny list, names that it is for.
EXAMPLES = {
    ".git": [".git", ".GIT"],
    ".hg": [".hg"],
    ".svn": [".svn"],
    ".env*": [".env", ".env.local", ".ENV", ".envrc", ".env.production.json"],
    "*.pem": ["server.pem", "SERVER.PEM", ".pem"],
    "*.key": ["tls.key", "tls.KEY"],
    "*.p12": ["cert.p12"],
    "*.pfx": ["cert.pfx"],
    "*.ppk": ["putty.ppk"],
    "*.jks": ["store.jks"],
    "*.keystore": ["debug.keystore"],
    "*.kdbx": ["vault.kdbx"],
    "*.tfstate": ["terraform.tfstate"],
    "id_rsa*": ["id_rsa", "id_rsa.pub", "ID_RSA"],
    "id_dsa*": ["id_dsa"],
    "id_ecdsa*": ["id_ecdsa"],
    "id_ed25519*": ["id_ed25519", "id_ed25519.pub"],
    ".netrc": [".netrc"],
    "_netrc": ["_netrc"],
    ".pypirc": [".pypirc"],
    ".npmrc": [".npmrc"],
    ".pgpass": [".pgpass"],
    ".htpasswd": [".htpasswd"],
    ".vault-token": [".vault-token"],
    ".git-credentials": [".git-credentials"],
    ".aws": [".aws"],
    ".azure": [".azure"],
    ".boto": [".boto"],
    ".docker": [".docker"],
    ".gcloud": [".gcloud"],
    ".gnupg": [".gnupg"],
    ".kube": [".kube"],
    ".ssh": [".ssh"],
    "kubeconfig": ["kubeconfig", "KubeConfig"],
    "credentials.json": ["credentials.json"],
    "client_secret*.json": ["client_secret.json", "client_secret_42.apps.json"],
    "service-account*.json": ["service-account.json", "service-account-prod.json"],
    "service_account*.json": ["service_account.json", "service_account_prod.json"],
    "secrets.toml": ["secrets.toml"],
}
PAIRS = [(name, pattern) for pattern, names in EXAMPLES.items() for name in names]
NEAR_MISSES = [
    "credentials.py",
    "environment.py",
    "environment.yml",
    "env.py",
    "env/settings.py",
    "git.py",
    ".gitignore",
    ".gitattributes",
    ".github/workflows/ci.yml",
    "key.py",
    "keys.py",
    "keystore.py",
    "kubeconfig.py",
    "monkey",
    "netrc.py",
    "pem.py",
    "secret.py",
    "secrets.py",
    "secrets.toml.example",
    "service_account.py",
    "ssh/client.py",
    "aws/config.py",
    "client_secret.py",
    "terraform.tf",
    ".dockerignore",
]


def shipped(root, **options):
    return [file.path for file in scan(CodeSpec([root], **options)).files]


def left_out(root, **options):
    return {item.path: item.reason for item in scan(CodeSpec([root], **options)).left_out}


def test_each_pattern_has_an_example():
    assert list(EXAMPLES) == list(SECRETS)


@pytest.mark.parametrize(("name", "pattern"), PAIRS)
def test_a_secret_stays_behind_whatever_brings_it_back(project, name, pattern):
    assert secret(name) == pattern
    root = project({f"deep/{name}": "", "job.py": "", ".daskbridgeignore": "!*", ".gitignore": "!*"})
    ways = ["*", "**", name, f"deep/{name}", f"/deep/{name}", "deep/*"]
    assert shipped(root, include=ways) == [".daskbridgeignore", ".gitignore", "job.py"]
    assert left_out(root)[f"deep/{name}"] == f"secrets: {pattern}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_below_a_directory_of_that_name_ships(project, name):
    directory = name.replace("*", "x")
    root = project({f"{directory}/deep/er/job.py": "", "job.py": ""})
    assert shipped(root, include=["job.py", f"{directory}/deep/er/job.py"]) == ["job.py"]
    assert left_out(root) == {f"{directory}/": f"secrets: {name}"}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_only_sounds_like_a_secret_ships(project, name):
    assert shipped(project({name: ""})) == [name]


def test_a_secret_ships_only_when_its_name_is_allowed(project):
    root = project({"conf/ca.pem": "", "conf/tls.pem": "", ".aws/config": "", ".aws/credentials": ""})
    assert shipped(root, allow=["conf/ca.pem", ".aws/config"]) == [".aws/config", "conf/ca.pem"]


def test_an_allowed_directory_does_not_bring_the_secrets_in_it(project):
    root = project({".docker/build.py": "", ".docker/.env": "", ".docker/deep/tls.key": ""})
    assert shipped(root, allow=[".docker"]) == [".docker/build.py"]
    assert shipped(root, allow=[".docker", ".docker/.env"]) == [".docker/.env", ".docker/build.py"]


def test_an_allowed_name_means_that_case_only(project):
    root = project({"tls.KEY": "", "deep/TLS.key": ""})
    assert shipped(root, allow=["tls.key"]) == []


@pytest.mark.parametrize("pattern", ["*.pem", "?.pem", "[ab].pem", "**/ca.pem"])
def test_allowing_a_wildcard_is_an_error(project, pattern):
    with pytest.raises(BundleError, match="has a wildcard"):
        CodeSpec([project({})], allow=[pattern])


LINKS = {
    "settings": ".env",
    "deep/settings.py": "../keys/tls.key",
    "cloud": "package/.aws",
    "deep/cloud": "../package/.aws/deep",
    "chain": "settings",
}


@pytest.mark.parametrize("link", LINKS)
def test_a_secret_behind_a_link_stays_behind(project, link):
    root = project({".env": "", "keys/tls.key": "", "package/.aws/deep/config": "", "deep/job.py": ""})
    for name in {link, "settings"}:
        (root / name).symlink_to(LINKS[name])
    assert shipped(root, include=["*", link]) == ["deep/job.py"]
    reason = next(reason for path, reason in left_out(root).items() if path.rstrip("/") == link)
    assert reason.startswith("secrets: ")
    assert reason.endswith(", through a link")


def test_a_link_to_a_secret_that_is_allowed_ships_under_its_own_name(project):
    root = project({"conf/ca.pem": "1"})
    (root / "ca.txt").symlink_to("conf/ca.pem")
    assert shipped(root, allow=["ca.txt"]) == ["ca.txt"]


def test_an_entry_module_that_is_a_secret_is_named_on_purpose(project):
    root = project({"id_rsa.py": ""})
    spec = CodeSpec([], modules={"flow": root / "id_rsa.py"})
    assert [file.path for file in scan(spec).files] == [".daskbridge/modules/flow.py"]
