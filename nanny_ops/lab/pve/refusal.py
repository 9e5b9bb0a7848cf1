"""How Proxmox VE says no: a status, a sentence in the reason phrase, and a body that repeats it or is empty."""

import json
from collections.abc import Mapping

UNKNOWN_PROPERTY = "property is not defined in schema and the schema does not allow additional properties"


class Refusal(Exception):
    """A request is answered with an error; ``text`` becomes the reason phrase."""

    def __init__(self, status: int, text: str, *, errors: Mapping[str, str] | None = None, delay: bool = False) -> None:
        """Take the status, the sentence, wrong parameters by name, and whether the answer is held back as a 401 is."""
        self.status = status
        self.text = text
        self.errors = errors
        self.delay = delay
        super().__init__(text)

    def body(self) -> bytes:
        """Return the body: none for 401, 595 and 596, otherwise the sentence as JSON."""
        if self.status in {401, 595, 596}:
            return b""
        if self.status == 501:
            return json.dumps({"data": None, "message": self.text}).encode()
        answer: dict[str, object] = {"data": None, "message": self.text + "\n"}
        if self.errors is not None:
            answer["errors"] = dict(self.errors)
        return json.dumps(answer).encode()


def wrong_parameters(errors: Mapping[str, str]) -> Refusal:
    """Return the refusal of parameters, each with its own sentence."""
    return Refusal(400, "Parameter verification failed.", errors=errors)


def not_implemented(method: str, path: str) -> Refusal:
    """Return the refusal of an unknown path or method."""
    return Refusal(501, f"Method '{method} {path}' not implemented")
