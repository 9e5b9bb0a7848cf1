"""What a token may see, from /access/permissions: lists that Proxmox VE filters must not pass for complete ones."""

from collections.abc import Iterator, Mapping

#: What gives a token all that the collector reads, but for the guest agent and pending updates.
ROLE = "PVEAuditor"


class Rights:
    """The privileges of one token; without an answer of the API nothing is held against it."""

    def __init__(self, paths: Mapping[str, Mapping[str, int]] | None) -> None:
        """Take the answer, None where there was none."""
        self._known, self._paths = paths is not None, paths or {}

    @property
    def known(self) -> bool:
        """Tell whether the API has said anything."""
        return self._known

    @property
    def none(self) -> bool:
        """Tell whether the token may do nothing at all, as one with separated privileges that got none."""
        return self._known and not any(self._paths.values())

    def missing(self, path: str, *privileges: str) -> str:
        """Return an empty text if one of the privileges is held on ``path``, else what is missing: ``A|B``."""
        if not self._known or any(self._holds(path, one) for one in privileges):
            return ""
        return "|".join(privileges)

    def missing_below(self, path: str, privilege: str) -> str:
        """Do the same for everything below ``path``, such as all guests below ``/vms``."""
        if not self._known:
            return ""
        narrow = (rights for place, rights in self._paths.items() if place.startswith(path.rstrip("/") + "/"))
        wide = self._inherits(path, privilege)
        return "" if wide and all(privilege in rights for rights in narrow) else privilege

    def _holds(self, path: str, privilege: str) -> bool:
        if path in self._paths:
            return privilege in self._paths[path]
        return self._inherits(path, privilege)

    def _inherits(self, path: str, privilege: str) -> bool:
        """Say whether the nearest path that is listed hands the privilege on (1, not 0)."""
        nearest = next((self._paths[place] for place in _upwards(path) if place in self._paths), {})
        return nearest.get(privilege) == 1


def _upwards(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield "/"
