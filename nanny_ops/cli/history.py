"""Usage over time."""

import json
from collections.abc import Mapping
from typing import Any

from nanny_ops.cli.table import Column, moment, show
from nanny_ops.cli.unit import percent, rate, share

POINTS: dict[str, Column] = {
    "from": ("at", moment),
    "cpu": ("cpu", percent),
    "peak": ("cpu_max", percent),
    "memory": "memory",
    "disk": "disk",
    "received": ("netin_rate", rate),
    "sent": ("netout_rate", rate),
    "read": ("diskread_rate", rate),
    "written": ("diskwrite_rate", rate),
}


def show_history(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print points, oldest first."""
    if as_json:
        print(json.dumps(dict(found), indent=2))
        return
    rows = [
        {
            **point,
            "memory": share(point.get("mem"), point.get("maxmem")),
            "disk": share(point.get("disk"), point.get("maxdisk")),
        }
        for point in found["points"]
    ]
    told = {key for row in rows for key, value in row.items() if value not in (None, "")}
    columns = {name: one for name, one in POINTS.items() if (one if isinstance(one, str) else one[0]) in told}
    show(rows, columns or POINTS, as_json=False, title=f"{found['object']}, {found['resolution']}, times in UTC")
    if found["truncated"]:
        print("There is more before it; narrow the range with --since and --until, or take a coarser --history.")
