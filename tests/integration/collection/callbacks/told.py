"""A callback that prints what each task told as one line of JSON, for tests."""

import json
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: told
type: stdout
short_description: Results as lines of JSON
description: For tests.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc,unused-ignore]
    """Prints each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "told"

    def v2_runner_on_ok(self, result: Any) -> None:
        self._print(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._print(result, "failed")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._print(result, "skipped")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._print(result, "unreachable")

    def _print(self, result: Any, how: str) -> None:
        told = json.loads(json.dumps(result._result, default=str))
        line = {"task": result._task.get_name(), "host": result._host.get_name(), "how": how, "result": told}
        sys.stdout.write("TOLD " + json.dumps(line) + "\n")
        sys.stdout.flush()
