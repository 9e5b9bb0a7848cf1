"""What a playbook takes: its argument specification, and whether given values fit.

The specification is Ansible's own for plays (``argument_specs`` in ``NAME.meta.yml``, ansible-core 2.20) and roles.
Values are held to their types more strictly than Ansible does: a text is not taken for a number.
"""

from collections.abc import Mapping
from typing import Any

from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.playbook import PlaybookOption

#: Ansible's words for types, and what JSON has for them.
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (str, int, float, bool, list, dict),
}
#: How a sentence calls them.
WORDS = {"str": "a text", "path": "a path", "int": "a whole number", "float": "a number", "bool": "true or false"}
WORDS |= {"list": "a list", "dict": "an object", "raw": "a value"}
#: Beginnings of what Ansible would evaluate, on the machine of the control plane; the last one names other beginnings.
TEMPLATES = ("{{", "{%", "{#", "#jinja2:")
#: How keys begin by which Ansible's JSON marks a value, such as one that it would decrypt with the site's vault.
MARKS = "__ansible_"
#: Characters of one text, and levels of lists and objects within each other.
LONGEST, DEEPEST = 16_384, 8


def options(specs: Any) -> list[PlaybookOption]:
    """Read the options of all plays. Raises ValidationFailed for what is no specification."""
    if not isinstance(specs, Mapping):
        raise ValidationFailed("argument_specs is no mapping.")
    found: dict[str, PlaybookOption] = {}
    for play, spec in specs.items():
        given = spec.get("options", {}) if isinstance(spec, Mapping) else None
        if not isinstance(given, Mapping):
            raise ValidationFailed(f"argument_specs: '{play}' has no mapping of options.")
        for name, body in given.items():
            found.setdefault(str(name), _option(str(name), body))
    return list(found.values())


def check(known: list[PlaybookOption], given: Mapping[str, Any]) -> None:
    """Make sure that given variables are those that a playbook takes. Raises ValidationFailed."""
    by_name = {one.name: one for one in known}
    for name, value in given.items():
        option = by_name.get(name)
        if option is None:
            listed = ", ".join(sorted(by_name)) or "none"
            raise ValidationFailed(f"vars: the playbook takes no '{name}'. It takes: {listed}.", field="vars")
        if option.secret:
            raise ValidationFailed(
                f"vars: '{name}' is a secret and is not taken here; keep it in the site's vault.", field="vars"
            )
        _fits(name, value, option)
    for one in known:
        if one.required and one.name not in given and not one.secret:
            raise ValidationFailed(f"vars: '{one.name}' is missing.", field="vars")


def _option(name: str, body: Any) -> PlaybookOption:
    if not name.isidentifier() or not isinstance(body, Mapping):
        raise ValidationFailed(f"argument_specs: '{name}' is no option.")
    kind, elements = str(body.get("type", "str")), str(body.get("elements", ""))
    for word in (kind, elements or "raw"):
        if word not in TYPES:
            raise ValidationFailed(f"argument_specs: '{name}' has the type '{word}', which is not known here.")
    described = body.get("description", "")
    return PlaybookOption(
        name=name,
        type=kind,
        required=body.get("required") is True,
        description=" ".join(described) if isinstance(described, list) else str(described),
        elements=elements,
        choices=list(body.get("choices") or ()),
        default=body.get("default"),
        secret=body.get("no_log") is True,
    )


def _fits(name: str, value: Any, option: PlaybookOption) -> None:
    _is(name, value, option.type)
    items = value if isinstance(value, list) else [value]
    if option.type == "list" and option.elements:
        for item in items:
            _is(f"{name}[]", item, option.elements)
    for item in items if option.choices else ():
        if item not in option.choices:
            listed = ", ".join(str(choice) for choice in option.choices)
            raise ValidationFailed(f"vars: '{name}' must be one of: {listed}.", field="vars")
    _harmless(name, value)


def _is(name: str, value: Any, kind: str) -> None:
    fitting = isinstance(value, TYPES[kind]) and not (isinstance(value, bool) and kind in {"int", "float"})
    if not fitting:
        raise ValidationFailed(f"vars: '{name}' must be {WORDS[kind]}.", field="vars")


def _harmless(name: str, value: Any, depth: int = 0) -> None:
    """Refuse what Ansible would evaluate: a template in a variable runs where the control plane runs."""
    if depth > DEEPEST:
        raise ValidationFailed(f"vars: '{name}' is nested too deeply.", field="vars")
    if isinstance(value, str):
        if any(sign in value for sign in TEMPLATES):
            raise ValidationFailed(f"vars: '{name}' holds a template, and those are not taken.", field="vars")
        if len(value) > LONGEST or "\0" in value:
            raise ValidationFailed(f"vars: '{name}' is longer than {LONGEST} characters or no text.", field="vars")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if str(key).startswith(MARKS):
                raise ValidationFailed(f"vars: '{name}' has a key of Ansible's own, {MARKS}...", field="vars")
            _harmless(name, key, depth + 1)
            _harmless(name, inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _harmless(name, inner, depth + 1)
