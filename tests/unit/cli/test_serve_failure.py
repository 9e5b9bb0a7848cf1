"""A control plane that cannot open its store ends, so that a service manager notices."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_broken_database_ends_the_server_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "nanny-ops.db").write_bytes(b"this is no database, and longer than a header is" * 100)
    env = {key: value for key, value in os.environ.items() if not key.startswith("NANNY_")}
    done = subprocess.run(
        [Path(sys.executable).parent / "nanny-ops", "serve", "--port", "0"],
        env={**env, "NANNY_DATA_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "file is not a database" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("nanny-ops: The control plane cannot start")
