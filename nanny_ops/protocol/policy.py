"""What a machine's owner allows, as its agent tells the control plane, which can read it and not change it."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, MaxLen

#: Words of one list of a policy, at most.
MOST_WORDS = 4096
Words = Annotated[list[Annotated[str, MaxLen(128)]], MaxLen(MOST_WORDS)]


@dataclass(frozen=True, kw_only=True)
class PolicyReport:
    """The policy as it is judged by; a list that is null allows all of its kind, an empty one nothing.

    ``file`` is where the owner wrote it, and empty where nothing is written: then there are readings and dry runs only.
    """

    file: Annotated[str, MaxLen(4096)] = ""
    operations: Words | None = None
    modes: Words | None = None
    targets: Words | None = None
    scripts: Words | None = None
    commands: Words | None = None
    signatures: Annotated[str, MaxLen(64)] = ""
    threshold: Annotated[int, Ge(1), Le(64)] = 1
    times: Words | None = None
    time_zone: Annotated[str, MaxLen(64)] = ""
    dry_runs_anytime: bool = True
