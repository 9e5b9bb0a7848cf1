"""What every test may use: the row record, and a throwaway PostgreSQL server."""

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spec.plugin import pytest_collection_modifyitems, pytest_configure, pytest_runtest_makereport

__all__ = ["pytest_collection_modifyitems", "pytest_configure", "pytest_runtest_makereport"]

#: Seconds the server has to answer after its start.
POSTGRES_START = 30


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which is what the product runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the SQLAlchemy address of an empty database on a server that lives as long as this process's tests.

    Each worker of a parallel run has a server of its own, on a unix socket only, so that two never meet. Skips where
    no server is installed; with CI=true that is a failure.
    """
    programs = _postgres_programs()
    if programs is None:
        why = "no PostgreSQL server under /usr/lib/postgresql; ./run setup installs one"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    # Not pytest's own temporary directory: the server's user must be able to walk into it.
    home = Path(tempfile.mkdtemp(prefix="nanny-pg-"))
    try:
        with _postgres(programs, home) as user:
            yield f"postgresql+psycopg://{user}@/nanny?host={home}"
    finally:
        shutil.rmtree(home)


def _postgres_programs() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextlib.contextmanager
def _postgres(programs: Path, home: Path) -> Iterator[str]:
    """Run a server in ``home`` and yield the name of its superuser; the server refuses to be run by root."""
    user, become = getpass.getuser(), []
    if os.geteuid() == 0:
        # The death signal ends the server when the tests are killed and cannot.
        user, become = "postgres", ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        become += ["--pdeathsig=INT"]
        shutil.chown(home, "postgres", "postgres")
    data = home / "data"
    initdb = [programs / "initdb", "-D", data, "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run([*become, *initdb], check=True, stdout=subprocess.DEVNULL, timeout=120)
    fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB"]
    quiet = ["listen_addresses=", f"unix_socket_directories={home}", "log_min_messages=fatal"]
    options = [word for setting in fast + quiet for word in ("-c", setting)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([*become, programs / "postgres", "-D", data, *options], stdout=log, stderr=log)
    try:
        _create_database(programs, home, user, server)
        yield user
    finally:
        _end(server)


def _create_database(programs: Path, home: Path, user: str, server: "subprocess.Popen[bytes]") -> None:
    """Create the database as soon as the server answers."""
    deadline = time.monotonic() + POSTGRES_START
    create = [programs / "createdb", "-h", home, "-U", user, "nanny"]
    while subprocess.run(create, check=False, stderr=subprocess.DEVNULL, timeout=POSTGRES_START).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {(home / 'log').read_text()[-2000:]}")
        time.sleep(0.05)


def _end(server: "subprocess.Popen[bytes]") -> None:
    """Ask for the fast shutdown, which cuts connections, and wait."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait(15)
