"""The agent stays light: importing it loads no web framework, no database and no model library."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tests.house.tree import ROOT

HEAVY = (
    *("fastapi", "starlette", "uvicorn", "sqlalchemy", "pydantic", "pydantic_settings", "structlog", "typer", "rich"),
    "cryptography",
)
PROGRAM = "import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"


def _loaded(module: str) -> set[str]:
    code = PROGRAM.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=60)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "module", ["nanny_ops.agent.app", "nanny_ops.cli.node", "nanny_ops.protocol.wire", "nanny_ops.helper.app"]
)
def test_nothing_heavy_is_loaded(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    assert _loaded(module) & set(HEAVY) == set()


def test_the_helper_loads_nothing_that_talks_to_a_network_or_reads_metrics() -> None:
    assert _loaded("nanny_ops.helper.app") & {"proxmoxer", "requests", "httpx", "urllib3", "psutil", "asyncio"} == set()


def test_heavy_modules_would_be_seen() -> None:
    assert "pydantic" in _loaded("tests.house.wire_schema")
