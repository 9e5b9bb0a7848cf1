"""A Proxmox VE API that answers with what genuine ones have answered; safe to ask from many threads."""

import copy
import json
import threading
from pathlib import Path
from typing import Any

from nanny_ops.machine.proxmox.client import translate
from nanny_ops.machine.verbs import ProxmoxAccess, ReadProxmox

GOLDEN = Path(__file__).parents[1] / "golden" / "proxmox"
ACCESS = ProxmoxAccess(url="https://192.0.2.11:8006", token="agent@pve!mon=secret")


def refused(status: int, reason: str, path: str = "somewhere") -> Exception:
    """Return the error that a client makes of an answer."""
    return translate(status, reason, path, "agent@pve!mon", "192.0.2.11:8006")


class Recorded:
    """Answers by path and parameters. ``answers`` may be changed; one that is an exception is raised."""

    def __init__(self, version: str = "8.4") -> None:
        recorded = json.loads((GOLDEN / version / "api.json").read_text())
        self.answers: dict[str, Any] = {
            path: one["data"] if "data" in one else refused(*one["error"], path) for path, one in recorded.items()
        }
        self.asked: list[str] = []
        self.closed = 0
        self.peer = ""
        self._lock = threading.Lock()

    def get(self, path: str, /, **parameters: Any) -> Any:
        key = path + ("?" + "&".join(f"{name}={parameters[name]}" for name in sorted(parameters)) if parameters else "")
        with self._lock:
            self.asked.append(key)
        answer = self.answers[key] if key in self.answers else self._missing(key)
        if isinstance(answer, Exception):
            raise answer
        return answer(key) if callable(answer) else copy.deepcopy(answer)

    def close(self) -> None:
        self.closed += 1

    def take_asked(self) -> list[str]:
        """Return what was asked since the last time, sorted."""
        asked, self.asked = sorted(self.asked), []
        return asked

    def _missing(self, key: str) -> Any:
        if "&since=" in key:
            return []
        return refused(501, f"Method 'GET /{key}' not implemented", key)


def order(**values: Any) -> ReadProxmox:
    """Return the verb."""
    return ReadProxmox(**{"access": ACCESS, **values})
