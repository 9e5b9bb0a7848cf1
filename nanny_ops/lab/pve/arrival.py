"""What a request brings with it: parameters in its query, as a form or as JSON."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from nanny_ops.lab.pve.refusal import Unreadable
from nanny_ops.lab.pve.schema.parameter import Value

FORM = "application/x-www-form-urlencoded"
#: Release -> the line of the real program where it cannot read JSON.
_LINES = {"8.4": 917, "9.2": 934}


def parameters(query: str, content_type: str, body: bytes, release: str) -> dict[str, Value]:
    """Return what was given, texts or lists of texts where a name came twice. Raises Unreadable."""
    found = _pairs(query)
    if not body:
        return found
    kind = content_type.partition(";")[0].strip()
    if kind == "application/json":
        return found | _json(
            body.decode("utf-8", "replace"), f"/usr/share/perl5/PVE/APIServer/AnyEvent.pm line {_LINES[release]}."
        )
    if kind in {FORM, ""}:
        return found | _pairs(body.decode("utf-8", "replace"))
    text = f"upload 'Content-Type '{kind}' not implemented"
    raise Unreadable(506, text, text)


def _pairs(text: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        known = found.get(name)
        if known is None:
            found[name] = value
        else:
            found[name] = [*known, value] if isinstance(known, list) else [known, value]
    return found


def _json(text: str, where: str) -> dict[str, Value]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as wrong:
        sentence = _complaint(text, wrong, where)
        raise Unreadable(500, sentence, sentence + "\n") from wrong
    if not isinstance(data, dict):
        sentence = f"Not a HASH reference at {where}"
        raise Unreadable(500, sentence, sentence + "\n")
    return {str(name): _value(value) for name, value in data.items() if value is not None}


def _complaint(text: str, wrong: json.JSONDecodeError, where: str) -> str:
    """Return what Perl's parser says; of its many sentences the two commonest."""
    rest = text[wrong.pos :]
    near = f'at character offset {wrong.pos} (before "{rest[:20]}") at {where}'
    if re.match(r"Expecting property name", wrong.msg):
        return f"'\"' expected, {near}"
    return f"malformed JSON string, neither tag, array, object, number, string or atom, {near}"


def _value(value: Any) -> Value:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(value)
