"""What all errors have in common, and what a person typed wrong."""

from collections.abc import Mapping
from typing import Any, ClassVar


class NannyError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"
    operator_code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    severity: ClassVar[str] = "medium"

    def __init__(self, message: str = "", /, **details: Any) -> None:
        """Take the sentence for a person and the details for a program."""
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.details: Mapping[str, Any] = details
        super().__init__(self.message)

    @property
    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that belong to this error."""
        return {}


class SettingsError(NannyError):
    """A setting is wrong."""

    code = "settings_error"
