"""Make a file of recordings fit to be committed: ``python tests/recorded/scrub.py DIRECTORY > pve-8.4.ndjson``.

One line a recording. What only shapes are compared of (long texts, log lines, hardware, keys, certificates) becomes a
word of the same type; secrets, timings and headers that never differ are left out.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

#: Texts longer than this are kept as a word only.
LONG = 160
#: Keys whose texts describe one particular machine or are other people's prose.
HIDDEN = frozenset(
    {
        *("model", "vendor", "vendor_name", "serial", "device_name", "subsystem_device_name", "subsystem_vendor_name"),
        *("flags", "wwn", "by_id_link", "manufacturer", "product", "msg", "kversion", "machine-id", "public-key-bits"),
        *("Description", "description-long", "Title", "infopage", "sha512sum", "headline", "pem", "fingerprint"),
        *("ssl_fingerprint", "pve_fp", "subject", "issuer", "Origin", "mount-options", "CSRFPreventionToken"),
    }
)
#: Keys whose texts are compared as they are, however long.
EXACT = frozenset({"reason", "message", "exitstatus", "text", "status", "privs", "errors"})
#: Headers that differ between answers.
HEADERS = ("Content-Type", "Content-Encoding", "Content-Disposition")
USUAL = {"Content-Type": "application/json;charset=UTF-8"}
_HOST = re.compile(r"\brig\.local\b")
_SECRET = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def scrub(name: str, recorded: dict[str, Any]) -> dict[str, Any]:
    """Return one recording without what must not be kept."""
    asked = recorded["request"]
    kept = {"name": name, "method": asked["method"], "path": asked["path"], "auth": _plain(asked["auth"])}
    kept |= {key: asked[source] for key, source in (("data", "data"), ("headers", "extra_headers")) if asked[source]}
    kept |= _answer(recorded["response"])
    if task := recorded.get("task"):
        final = (task.get("final_status") or task["first_status_poll"])["body"]["data"]
        log = ((task.get("log") or {}).get("body") or {}).get("data") or []
        kept["task"] = {"type": final["type"], "exitstatus": final.get("exitstatus"), "log": [row["t"] for row in log]}
    if polls := recorded.get("exec_status_polls"):
        kept["polled"] = polls[-1]
        kept["reaped"] = _answer(recorded["exec_status_after_reap"])
    text: str = _HOST.sub("example.org", json.dumps(_worded(kept)))
    found: dict[str, Any] = json.loads(text)
    return found


def _plain(auth: str | None) -> str | None:
    return auth and _SECRET.sub("00000000-0000-4000-8000-000000000000", auth)


def _answer(response: dict[str, Any]) -> dict[str, Any]:
    kept = {"status": response["status"], "reason": response["reason"]}
    heads = {name: response["headers"][name] for name in HEADERS if name in response["headers"]}
    if heads and heads != USUAL:
        kept["head"] = heads
    if "body" in response:
        kept["body"] = response["body"]
    else:
        text = response["body_text"]
        kept["text"] = "packed" if "Content-Encoding" in heads else text
    return kept


def _worded(value: Any, key: str = "") -> Any:
    if key == "errors":
        return value
    if isinstance(value, dict):
        return {name: _worded(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_worded(part, key) for part in value]
    if isinstance(value, str) and key not in EXACT:
        hidden = key in HIDDEN or len(value) > LONG or (key == "t" and not value.startswith("TASK"))
        return "text" if hidden and value else value
    return value


def main(directory: str) -> None:
    """Print the recordings of a directory."""
    for path in sorted(Path(directory).glob("*.json")):
        found = scrub(path.stem, json.loads(path.read_text()))
        sys.stdout.write(json.dumps(found, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
