"""Words that come from people and end up in arguments: what is the name of a package, and what are tags."""

import re

PACKAGE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+._:-]*")


def is_package(text: str) -> bool:
    """Tell whether a text can be the name of a package of any distribution."""
    return PACKAGE_NAME.fullmatch(text) is not None


def tags(text: str) -> list[str]:
    """Return a guest's tags in lower case; Proxmox VE takes comma, semicolon and blank between them."""
    return [tag for tag in text.lower().replace(";", ",").replace(" ", ",").split(",") if tag]
