"""The JSON schema of everything on the wire; ``./run snapshot-wire`` writes it beside this file."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nanny_ops.protocol.wire import CATALOGUE

FILE = Path(__file__).parent / "wire.schema.json"


def wire_schema() -> dict[str, Any]:
    """Return each record's schema by its name; defaults are part of it, descriptions are not."""
    return {record.__name__: _without_prose(TypeAdapter(record).json_schema()) for record in CATALOGUE}


def _without_prose(schema: Any) -> Any:
    """Drop docstrings and titles: a better sentence is no change of the wire."""
    if isinstance(schema, list):
        return [_without_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    prose = {key for key in ("title", "description") if isinstance(schema.get(key), str)}
    return {key: _without_prose(value) for key, value in schema.items() if key not in prose}


def render() -> str:
    """Return the snapshot's text."""
    return json.dumps(wire_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
