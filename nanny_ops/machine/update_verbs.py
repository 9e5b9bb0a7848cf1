"""The part of the catalogue that is about the agent's own versions: all of it may be asked again, and needs root."""

from dataclasses import dataclass, field
from enum import StrEnum

from nanny_ops.machine.verbs import KeySignature


class UpdatePhase(StrEnum):
    """Where an update stands, as the folder beside the versions tells."""

    #: No version is on trial.
    NONE = "none"
    #: A version was switched to, or is about to be, and has not proved itself.
    TRIAL = "trial"
    #: It has talked to the control plane.
    CONFIRMED = "confirmed"
    #: It did not come up, and the one before is back.
    RETURNED = "returned"


@dataclass(frozen=True, kw_only=True)
class LookUpdate:
    """Ask how the versions stand."""


@dataclass(frozen=True, kw_only=True)
class StageUpdate:
    """Ask for a release to be installed beside the running one; nothing is switched.

    ``path`` names the downloaded archive; ``threshold`` different keys of the ``signatures`` must hold once more.
    """

    order_id: str
    claim: str
    release_id: str
    version: str
    sha256: str
    path: str
    signatures: list[KeySignature] = field(default_factory=list)
    threshold: int = 0


@dataclass(frozen=True, kw_only=True)
class TryUpdate:
    """Ask a staged version to try itself as the user that asks, with these words of the agent's own command line."""

    version: str
    words: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class UpdateTried:
    """The answer: empty where the version can run here, else why not."""

    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class SwitchUpdate:
    """Ask that the staged release with this SHA-256 is what starts next, on trial."""

    order_id: str
    claim: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ConfirmUpdate:
    """Say that the version on trial works."""

    order_id: str


@dataclass(frozen=True, kw_only=True)
class EndUpdate:
    """Say that what an update came to was told; ``failed`` names a release to refuse from now on."""

    order_id: str
    failed: str = ""


@dataclass(frozen=True, kw_only=True)
class UpdateState:
    """The answer: the update on trial, and what is installed.

    ``current`` names the version that starts next, ``target`` the one on trial; ``installed`` maps the SHA-256 of
    releases to the versions that hold them. ``owner`` is a sentence where the agent may not change itself.
    """

    phase: UpdatePhase = UpdatePhase.NONE
    order_id: str = ""
    claim: str = ""
    sha256: str = ""
    target: str = ""
    reason: str = ""
    current: str = ""
    installed: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    owner: str = ""


UpdateVerb = LookUpdate | StageUpdate | SwitchUpdate | ConfirmUpdate | EndUpdate
