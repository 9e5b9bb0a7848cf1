"""The check of a call's parameters, with the sentences that Proxmox VE answers for each wrong one."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from nanny_ops.lab.pve.refusal import UNKNOWN_PROPERTY, wrong_parameters
from nanny_ops.lab.pve.schema.form import complaint

MISSING = "property is missing and it is not optional"
TRUE = re.compile(r"1|on|yes|true", re.IGNORECASE)
FALSE = re.compile(r"0|off|no|false", re.IGNORECASE)
_TYPES = {"integer": re.compile(r"[+-]?\d+"), "number": re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")}

Json = Mapping[str, Any]
#: A value as it arrives: text, or several texts for a list.
Value = str | list[str]


def verify(specified: Mapping[str, Json], given: Mapping[str, Value], privileges: Collection[str]) -> dict[str, Value]:
    """Return the parameters with ``1`` and ``0`` for booleans and a list for each list. Raises Refusal 400.

    ``privileges`` are the names that the release knows.
    """
    errors: dict[str, str] = {}
    accepted: dict[str, Value] = {}
    for name, value in given.items():
        if (known := specification(specified, name)) is None:
            errors[name] = UNKNOWN_PROPERTY
        elif wrong := _wrong(known, value, privileges):
            errors[name] = wrong
        else:
            accepted[name] = _normal(known, value)
    for name, known in specified.items():
        if name not in given and not known.get("optional") and not re.search(r"\[n\]$", name):
            errors[name] = MISSING
        if name in given and (needed := known.get("requires")) and needed not in given:
            errors[needed] = f"missing property - '{name}' requires this property"
    if errors:
        raise wrong_parameters(errors)
    return accepted


def specification(specified: Mapping[str, Json], name: str) -> Json | None:
    """Return what is known of a parameter; the schema writes ``net0`` to ``net31`` as ``net[n]``."""
    if name in specified:
        return specified[name]
    numbered = re.fullmatch(r"(\D+)\d+", name)
    return specified.get(f"{numbered[1]}[n]") if numbered else None


def _wrong(known: Json, value: Value, privileges: Collection[str]) -> str:
    if known.get("type") == "array":
        items = value if isinstance(value, list) else [value]
        return next((text for item in items if (text := _wrong(known.get("items", {}), item, privileges))), "")
    text = ",".join(value) if isinstance(value, list) else value
    return _type(known, text) or _format(known, text, privileges) or _bounds(known, text)


def _type(known: Json, value: str) -> str:
    kind = known.get("type", "string")
    if kind == "boolean":
        fits = bool(TRUE.fullmatch(value) or FALSE.fullmatch(value))
    else:
        fits = kind not in _TYPES or bool(_TYPES[kind].fullmatch(value))
    return "" if fits else f"type check ('{kind}') failed - got '{value}'"


def _format(known: Json, value: str, privileges: Collection[str]) -> str:
    form = known.get("format")
    if isinstance(form, str):
        text = complaint(form, value, privileges=privileges)
        return f"invalid format - {text}\n" if text else ""
    if isinstance(form, Mapping):
        wrong = _property_string(form, value, privileges)
        lines = "".join(f"{name}: {text}\n" for name, text in sorted(wrong.items()))
        return f"invalid format - format error\n{lines}" if wrong else ""
    return ""


def _property_string(form: Json, value: str, privileges: Collection[str]) -> dict[str, str]:
    """Return what is wrong in ``key=value,key=value``, where the value of one key may stand without its name."""
    default = next((name for name, known in form.items() if known.get("default_key")), "")
    parts: dict[str, str] = {}
    for part in filter(None, value.split(",")):
        key, equals, text = part.partition("=")
        name = key if equals else default
        known = form.get(name, {})
        parts[known.get("alias", name)] = text if equals else key
        if "keyAlias" in known and equals:
            parts[known["keyAlias"]] = name
    wrong = {name: UNKNOWN_PROPERTY for name in parts if specification(form, name) is None}
    for name, text in parts.items():
        specified = specification(form, name)
        if specified is not None and (sentence := _wrong(specified, text, privileges)):
            wrong[name] = sentence
    missing = [name for name, known in form.items() if not known.get("optional") and "alias" not in known]
    return wrong | {name: MISSING for name in missing if name not in parts}


def _bounds(known: Json, value: str) -> str:
    if _TYPES["number"].fullmatch(value):
        if "maximum" in known and float(value) > float(known["maximum"]):
            return f"value must have a maximum value of {known['maximum']}"
        if "minimum" in known and float(value) < float(known["minimum"]):
            return f"value must have a minimum value of {known['minimum']}"
    if "enum" in known and value not in (choices := [str(choice) for choice in known["enum"]]):
        return f"value '{value}' does not have a value in the enumeration '{', '.join(choices)}'"
    if "pattern" in known and not re.fullmatch(_python(known["pattern"]), value):
        return "value does not match the regex pattern"
    if "minLength" in known and len(value) < int(known["minLength"]):
        return f"value must be at least {known['minLength']} characters long"
    if "maxLength" in known and len(value) > int(known["maxLength"]):
        return f"value may only be {known['maxLength']} characters long"
    return ""


def _python(pattern: str) -> str:
    """Return a pattern of Perl's in Python's words: ``(?^:x)`` is a group, ``(?^i:x)`` one that ignores case."""
    return re.sub(r"\(\?\^([a-z]*):", lambda found: f"(?{found[1]}:", pattern)


def _normal(known: Json, value: Value) -> Value:
    if known.get("type") == "array":
        return value if isinstance(value, list) else [value]
    text = "\0".join(value) if isinstance(value, list) else value
    if known.get("type") == "boolean":
        return "1" if TRUE.fullmatch(text) else "0"
    return text
