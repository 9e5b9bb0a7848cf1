"""Following a run of a playbook to its end."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from nanny_ops.cli.client import Client
from nanny_ops.cli.table import printable
from nanny_ops.protocol.playbook_run import OPEN_RUNS, PlaybookRun

#: Seconds between two looks.
INTERVAL = 1.0


def follow(
    client: Client,
    run: PlaybookRun,
    *,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> PlaybookRun:
    """Print what happens, a line each, until the run has ended; return it. It ends at its timeout at the latest."""
    seq = 0
    while True:
        run = client.playbook_run(run.id)  # asked first: an ended one has told all
        while events := client.playbook_events(run.id, seq):
            for event in events:
                if as_json:
                    print(json.dumps(event), flush=True)
                else:
                    print(line(event), file=sys.stderr, flush=True)
            seq = events[-1]["seq"]
        if run.status not in OPEN_RUNS:
            return run
        sleep(INTERVAL)


def line(event: Mapping[str, Any]) -> str:
    """Write an event as a person reads it."""
    kind = event["kind"]
    if kind == "play":
        text = f"PLAY {event['play']}"
    elif kind == "task":
        text = f"  TASK {event['task']}"
    elif kind == "host":
        seconds = "" if event["seconds"] is None else f" {event['seconds']} s"
        said = f": {event['message']}" if event["message"] else ""
        text = f"    {event['host']} {event['state']}{seconds}{said}"
    elif kind == "ended":
        text = f"ENDED {event['outcome']}"
    else:
        text = {"no_hosts": "  no host matched", "stats": "RECAP"}.get(kind, kind)
    return printable(text.replace("\n", " "))
