"""Write docs/settings.md from the tables that the processes read their settings by.

``./run docs`` writes it, ``./run lint`` checks with ``--check`` that it is as it would be written.
"""

import sys
from collections.abc import Iterable
from typing import Any

from nanny_ops.agent import settings as agent_settings
from nanny_ops.control import settings as control_settings
from nanny_ops.helper import settings as helper_settings
from tests.house.tree import ROOT

FILE = ROOT / "docs" / "settings.md"

HEAD = """# Settings

Written by `./run docs` from the tables in the code; `./run lint` fails when it is out of date.

Each process reads a flag first, then the environment, then its TOML file. A secret may instead be named by a file:
`NANNY_X_FILE` holds the path of a file with the value of `NANNY_X`. A name that is not in these tables is an error
that tells the nearest one that is (exit code 2).
"""
CONTROL = """
## Control plane

File: `/etc/nanny-ops/control.toml`, or what `NANNY_CONFIG` names.

"""
AGENT = """
## Agent

File: `/etc/nanny-ops/agent.toml`, or what `NANNY_AGENT_CONFIG` names.

"""


HELPER = """
## Helper

File: `/etc/nanny-ops/helper.toml`, or what `--config` names; it must belong to root and be writable by nobody else.
There are no flags and no environment for these: what the privileged side believes is written in one place.

"""


def table(settings: Iterable[Any]) -> str:
    """Return a Markdown table of rows that have env, key, kind, default and help."""
    lines = ["| environment | TOML key | kind | default | meaning |", "|---|---|---|---|---|"]
    for row in settings:
        default = f"`{row.default}`" if str(row.default) else ""
        kind = str(row.kind).replace("pathlib.", "").replace("|", "\\|")
        lines.append(f"| `{row.env}` | `{row.key}` | {kind} | {default} | {row.help} |")
    return "\n".join(lines) + "\n"


def render() -> str:
    """Return the whole page."""
    processes = CONTROL + table(control_settings.SETTINGS) + AGENT + table(agent_settings.SETTINGS)
    return HEAD + processes + HELPER + _plain(helper_settings.SETTINGS)


def _plain(settings: Iterable[Any]) -> str:
    """Return a table of rows that no environment sets."""
    lines = ["| TOML key | kind | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{row.key}` | {row.kind} | `{row.default}` | {row.help} |" for row in settings]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` compare it; return the exit code."""
    if arguments != ["--check"]:
        FILE.write_text(render())
        return 0
    if FILE.exists() and FILE.read_text() == render():
        return 0
    print("docs/settings.md is out of date; type ./run docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
