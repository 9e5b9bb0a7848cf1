"""Wire records of answers: what this release does not know is left out, so that an older program serves a newer one."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from nanny_ops.protocol import patch_report
from nanny_ops.protocol.package_exception import PackageException, Unreached
from nanny_ops.protocol.patch import Difference, PackageChange, PastEnd, PatchOperation, PatchTerms
from nanny_ops.protocol.patch_batch import BatchTarget, PatchBatch, Select, Skipped
from nanny_ops.protocol.patch_order import Hold, Hook
from nanny_ops.protocol.play_report import PlayHost, PlayReportDetail, PlayTask
from nanny_ops.protocol.playbook_run import HostStats, PlaybookRun
from nanny_ops.protocol.probe import Probe

T = TypeVar("T")


def record(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a wire record of an answer; keys that this release does not know are left out."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in known})


def report_of(values: Mapping[str, Any]) -> PlayReportDetail:
    """Make a report of a play of an answer."""
    recap = {host: record(PlayHost, row) for host, row in values["recap"].items()}
    tasks = [record(PlayTask, row) for row in values["tasks"]]
    return record(PlayReportDetail, {**values, "recap": recap, "tasks": tasks})


def patch_of(values: Mapping[str, Any]) -> PatchOperation:
    """Make a patch order of an answer."""
    packages, different = values["package_list"], values.get("differences")
    return record(
        PatchOperation,
        {
            **values,
            "package_list": None if packages is None else [record(PackageChange, row) for row in packages],
            "differences": None if different is None else [record(Difference, row) for row in different],
            "history": [record(PastEnd, row) for row in values["history"]],
            "hooks": [record(Hook, row) for row in values.get("hooks", ())],
            "probes": [record(Probe, row) for row in values.get("probes", ())],
            "report": None if values.get("report") is None else patch_report.restored(values["report"]),
            "holds": [record(Hold, row) for row in values.get("holds", ())],
        },
    )


def exception_of(values: Mapping[str, Any]) -> PackageException:
    """Make an exception of an answer."""
    return record(
        PackageException, {**values, "unreached": [record(Unreached, row) for row in values.get("unreached", ())]}
    )


def batch_of(values: Mapping[str, Any]) -> PatchBatch:
    """Make a batch of an answer."""
    order = values["order"]
    hooks, probes = ([record(kind, row) for row in order[name]] for kind, name in ((Hook, "hooks"), (Probe, "probes")))
    return record(
        PatchBatch,
        {
            **values,
            "order": record(PatchTerms, {**order, "hooks": hooks, "probes": probes}),
            "select": record(Select, values["select"]),
            "exclude": record(Select, values["exclude"]),
            "targets": [record(BatchTarget, row) for row in values["targets"]],
            "skipped": [record(Skipped, row) for row in values["skipped"]],
        },
    )


def run_of(values: Mapping[str, Any]) -> PlaybookRun:
    """Make a run of a playbook of an answer."""
    hosts = {name: record(HostStats, stats) for name, stats in values["hosts"].items()}
    return record(PlaybookRun, {**values, "hosts": hosts})
