"""The bar grows with steps and with what package managers print."""

from types import SimpleNamespace

import pytest

from nanny_ops.cli.meter import Meter, planned


def test_steps_and_packages_fill_it() -> None:
    meter = Meter(["preflight", "script", "restore", "release"])
    shares = [meter.share]
    for step in ({"name": "preflight", "outcome": "ok"}, {"name": "script", "outcome": "running"}):
        meter.take(step)
    shares.append(meter.share)
    for line in ("2 upgraded, 0 newly installed, 0 to remove", "Setting up bash (5.2-2) ..."):
        meter.read(line)
    assert meter.words == "script, package 1 of 2"
    shares.append(meter.share)
    for name in ("script", "restore", "release", "hook-9"):
        meter.take({"name": name, "outcome": "ok"})
    assert [*shares, meter.share] == [0, 0.25, 0.375, 1.0]


@pytest.mark.parametrize(
    "line",
    [
        "  Upgrading        : bash-5.2-2.x86_64                    3/12 ",
        "  Updating   : bash-4.2.46-35.el7_9.x86_64                 3/12",
        "[ 3/12] Upgrading bash-0:5.2.26-3.fc40 100% |   1.2 MiB/s",
        "( 3/12) Installing: bash-5.2-2.x86_64 [..done]",
        "(3/12) upgrading bash",
        "(3/12) Upgrading bash (5.2.15-r0 -> 5.2.21-r0)",
    ],
)
def test_what_package_managers_count(line: str) -> None:
    meter = Meter([])
    meter.read("Progress of something else 1/2 of all")
    meter.read(line)
    assert (meter.packages, meter.all_packages) == (3, 12)


def test_what_is_to_be_expected_of_an_order() -> None:
    look = SimpleNamespace(mode="dry-run", start_stopped=False)
    assert planned(look) == ["script"]
    change = SimpleNamespace(mode="apply", start_stopped=False, hooks=[1], probes=[1], bake_seconds=5)
    assert planned(change) == [
        "preflight", "space", "protect", "hook-1", "baseline", "probe", "script", "bake", "restore",
    ]  # fmt: skip
