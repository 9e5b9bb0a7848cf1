"""How Proxmox VE says no: a status, a sentence in the reason phrase, and a body that repeats it or is empty."""

from collections.abc import Mapping
from typing import Any

UNKNOWN_PROPERTY = "property is not defined in schema and the schema does not allow additional properties"


class Refusal(Exception):
    """A request is answered with an error; ``text`` becomes the reason phrase."""

    def __init__(
        self, status: int, text: str, *, errors: Mapping[str, str] | None = None, delay: float | bool = False
    ) -> None:
        """Take the status, the sentence, wrong parameters by name, and whether the answer is held back.

        ``delay`` is True for a 401, which is held back by what the lab is set to, or a number of seconds.
        """
        self.status = status
        self.text = text
        self.errors = errors
        self.delay = delay
        super().__init__(text)

    def answer(self) -> dict[str, Any] | None:
        """Return the body's JSON, or None where the body is empty: 401, 595 and 596."""
        if self.status in {401, 595, 596}:
            return None
        if self.status in {424, 501}:  # the only ones whose sentence has no newline behind it
            return {"data": None, "message": self.text}
        found: dict[str, Any] = {"data": None, "message": self.text + "\n"}
        return found | ({"errors": dict(self.errors)} if self.errors is not None else {})


class Unreadable(Refusal):
    """A request that did not get as far as the API: the body is plain text, ``body``."""

    def __init__(self, status: int, text: str, body: str) -> None:
        """Take the status, the sentence and the body."""
        super().__init__(status, text)
        self.body = body


class PasswordWrong(Refusal):
    """A wrong password: held back like every 401, but with a body."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(401, "authentication failure", delay=True)

    def answer(self) -> dict[str, Any] | None:
        """Return the body's JSON."""
        return {"data": None, "message": self.text + "\n"}


def wrong_parameters(errors: Mapping[str, str]) -> Refusal:
    """Return the refusal of parameters, each with its own sentence."""
    return Refusal(400, "Parameter verification failed.", errors=errors)


def not_implemented(method: str, path: str) -> Refusal:
    """Return the refusal of an unknown path or method."""
    return Refusal(501, f"Method '{method} {path}' not implemented")
