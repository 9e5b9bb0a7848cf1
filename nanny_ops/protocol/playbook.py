"""Playbooks that the control plane may run, and what each takes."""

from dataclasses import dataclass, field
from typing import Any, Literal

from nanny_ops.protocol.token import Scope

Origin = Literal["shipped", "site"]


@dataclass(frozen=True, kw_only=True)
class PlaybookOption:
    """One variable of a playbook, as its argument specification has it; ``type`` and ``elements`` are Ansible's words.

    A ``secret`` one (``no_log``) is not taken over the API: it belongs into the site's vault.
    """

    name: str
    type: str
    required: bool
    description: str = ""
    elements: str = ""
    choices: list[Any] = field(default_factory=list)
    default: Any = None
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class Playbook:
    """One playbook of the catalogue.

    ``changes`` is false for one that only looks: it needs no check before it. ``trouble`` says why it cannot be run.
    A run gets a token with the scopes ``token`` that ends with it; ``files`` are the variables that name a file of the
    site.
    """

    name: str
    origin: Origin
    description: str
    changes: bool
    timeout_seconds: int
    options: list[PlaybookOption] = field(default_factory=list)
    trouble: str = ""
    token: list[Scope] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
