"""The user's code as a bundle: select it, pack it, bring it to every node of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.code._adopt import adopt_archive
    from daskbridge.code._bundle import CodeBundle, build_bundle
    from daskbridge.code._changes import changes
    from daskbridge.code._compare import compare_code, compared_nodes, forget_comparison
    from daskbridge.code._exchange import exchange_code
    from daskbridge.code._explain import explain_import
    from daskbridge.code._installed import InstalledCode
    from daskbridge.code._manifest import Entry, Manifest
    from daskbridge.code._module import module_spec
    from daskbridge.code._project import default_spec, is_installed, project_spec
    from daskbridge.code._returned import returned
    from daskbridge.code._scan import Selection, scan
    from daskbridge.code._spec import CodeSpec, Root
    from daskbridge.code._store import publish
    from daskbridge.code._sync import Receipt, forget_code, receipts, sync_code
    from daskbridge.code._walk import File, LeftOut
    from daskbridge.node.code import DownloadCodeBundleNannyPlugin, DownloadCodeBundleWorkerPlugin
    from daskbridge.node.origin import DownloadCodeBundleSchedulerPlugin

__all__ = [
    "CodeBundle",
    "CodeSpec",
    "DownloadCodeBundleNannyPlugin",
    "DownloadCodeBundleSchedulerPlugin",
    "DownloadCodeBundleWorkerPlugin",
    "Entry",
    "File",
    "InstalledCode",
    "LeftOut",
    "Manifest",
    "Receipt",
    "Root",
    "Selection",
    "adopt_archive",
    "build_bundle",
    "changes",
    "compare_code",
    "compared_nodes",
    "default_spec",
    "exchange_code",
    "explain_import",
    "forget_code",
    "forget_comparison",
    "is_installed",
    "module_spec",
    "project_spec",
    "publish",
    "receipts",
    "returned",
    "scan",
    "sync_code",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "CodeBundle": "daskbridge.code._bundle",
        "CodeSpec": "daskbridge.code._spec",
        "DownloadCodeBundleNannyPlugin": "daskbridge.node.code",
        "DownloadCodeBundleSchedulerPlugin": "daskbridge.node.origin",
        "DownloadCodeBundleWorkerPlugin": "daskbridge.node.code",
        "Entry": "daskbridge.code._manifest",
        "File": "daskbridge.code._walk",
        "InstalledCode": "daskbridge.code._installed",
        "LeftOut": "daskbridge.code._walk",
        "Manifest": "daskbridge.code._manifest",
        "Receipt": "daskbridge.code._sync",
        "Root": "daskbridge.code._spec",
        "Selection": "daskbridge.code._scan",
        "adopt_archive": "daskbridge.code._adopt",
        "build_bundle": "daskbridge.code._bundle",
        "changes": "daskbridge.code._changes",
        "compare_code": "daskbridge.code._compare",
        "compared_nodes": "daskbridge.code._compare",
        "default_spec": "daskbridge.code._project",
        "exchange_code": "daskbridge.code._exchange",
        "explain_import": "daskbridge.code._explain",
        "forget_code": "daskbridge.code._sync",
        "forget_comparison": "daskbridge.code._compare",
        "is_installed": "daskbridge.code._project",
        "module_spec": "daskbridge.code._module",
        "project_spec": "daskbridge.code._project",
        "publish": "daskbridge.code._store",
        "receipts": "daskbridge.code._sync",
        "returned": "daskbridge.code._returned",
        "scan": "daskbridge.code._scan",
        "sync_code": "daskbridge.code._sync",
    },
)
