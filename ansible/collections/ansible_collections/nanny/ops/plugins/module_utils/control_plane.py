# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one client of the control plane: every plugin of this collection asks through it.

It knows nothing of modules, so that inventory, lookup and callback plugins use it too. No redirect is followed and no
token travels unencrypted, except on the machine itself.
"""

from __future__ import annotations

import json
import random
import ssl
import time
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

from ansible.module_utils.urls import Request, make_context
from ansible_collections.nanny.ops.plugins.module_utils.calls import CALLS

#: Statuses of answers that may be other ones later.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Those that say that nothing was done, so that even what must not be done twice may be asked again.
UNTOUCHED = frozenset({425, 429, 503})
#: Seconds of the first pause between two tries, doubled each time, and of the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 32.0
#: Bytes of an answer that are read.
CAP = 64 * 1024 * 1024
#: Rows that a list gives at once.
PAGE = 500
LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: What to do about an answer, by its status.
ADVICE = {
    401: "Give a token that is valid: 'nanny-ops token add' makes one; it is read from 'token' or NANNY_OPS_TOKEN.",
    403: "The token lacks a scope, or its owner a role, for this; 'nanny-ops token list' shows the scopes.",
    404: "Look whether the name is right, and whether it belongs to a team of the token's owner.",
    409: "Look at what is there already, or wait until it has ended.",
    429: "Ask less often, or with fewer forks.",
    503: "Wait until the control plane is ready: GET /health/ready tells.",
}


class ControlPlaneError(Exception):
    """The control plane refused, or could not be asked; ``status`` is 0 where there was no answer."""

    def __init__(self, message, status=0, code="", details=None):
        """Keep the sentence for people and what programs look at."""
        super().__init__(message)
        self.status, self.code, self.details = status, code, details or {}

    def told(self):
        """Return what a module says beside the sentence."""
        return {"status": self.status, "code": self.code, "details": self.details}


class Opener:
    """Opens addresses as Ansible does, all with what was read once of whom to trust: that takes 30 ms."""

    def __init__(self, ca_file=None, validate_certs=True):
        """Read nothing yet."""
        self._ca_file, self._validate_certs, self._context = ca_file, validate_certs, None

    def __call__(self, url, method, **options):
        """Return an answer to read. Raises OSError, HTTPError and URLError."""
        if self._context is None:
            self._context = self._trust(url.startswith("https:"))
        return Request().open(method, url, context=self._context, **options)

    def _trust(self, is_encrypted):
        if is_encrypted:
            return make_context(cafile=self._ca_file, validate_certs=self._validate_certs)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: redirects are not followed


class ControlPlane:
    """Speaks with one control plane for one token."""

    def __init__(
        self,
        url,
        token,
        ca_file=None,
        validate_certs=True,
        timeout=30,
        tries=5,
        transport=None,
        sleep=time.sleep,
        jitter=random.random,
        clock=time.monotonic,
    ):
        """Take the address and the token; ``timeout`` is for one try, in seconds.

        Raises ControlPlaneError for an address over which a token must not travel.
        """
        self.url = _checked(url)
        self._token, self._timeout, self._tries = token, timeout, tries
        self._transport = transport or Opener(ca_file, validate_certs)
        self._sleep, self._jitter, self.clock = sleep, jitter, clock

    def ask(self, name, body=None, query=None, key="", repeat=None, **places):
        """Make one call of the catalogue and return its answer; ``places`` fill its address.

        ``key`` is an Idempotency-Key. ``repeat`` says whether twice is as good as once, so that a call whose answer was
        lost is made again; unless told, that holds for what has a key and what only asks.
        """
        return self._decoded(self._call(name, body, query, key, repeat, places))

    def text(self, name, query=None, **places):
        """Do the same where the answer is plain text."""
        return self._call(name, None, query, "", None, places).decode("utf-8", "replace")

    def every(self, listing, most=None, page=PAGE, **query):
        """Return the rows of a list, ``page`` of them with each request, ``most`` at the most."""
        rows, total = [], 1
        while len(rows) < (total if most is None else min(most, total)):
            limit = page if most is None else min(page, most - len(rows))
            found = self.ask(listing, query=dict(query, limit=limit, offset=len(rows)))
            if not found["items"]:
                break
            rows += found["items"]
            total = found["total"]
        return rows

    def _call(self, name, body, query, key, repeat, places):
        call = CALLS[name]
        given = {which: value for which, value in (query or {}).items() if value is not None}
        unknown = sorted(set(given).difference(call.query)) + sorted(set(body or ()).difference(call.sends))
        if unknown:
            raise ControlPlaneError("'%s' is not told %s." % (name, ", ".join(unknown)))
        path = call.path.format(**{place: segment(value) for place, value in places.items()})
        headers = {"Idempotency-Key": key} if key else {}
        again = bool(key) or call.method != "POST" if repeat is None else repeat
        return self.raw(call.method, path, given, body, headers, again)

    def raw(self, method, path, query=None, body=None, headers=None, repeat=True):
        """Return the bytes of an answer. Raises ControlPlaneError, after as many tries as make sense."""
        url = self.url + path + _query(query)
        data = None if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", "Authorization": "Bearer " + self._token, **(headers or {})}
        if data is not None:
            sent["Content-Type"] = "application/json"
        for tried in range(1, self._tries + 1):
            try:
                return self._once(method, url, data, sent)
            except HTTPError as refused:
                wrong, again, after = (
                    _refusal(method, path, refused),
                    _may_repeat(refused.code, repeat),
                    _after(refused),
                )
            except (URLError, OSError, ValueError) as broken:
                wrong, again, after = self._unreachable(broken), repeat or _never_arrived(broken), None
            if not again or tried == self._tries:
                raise wrong
            self._sleep(_pause(tried, after, self._jitter()))
        raise ControlPlaneError("'tries' must be at least 1.")

    def _once(self, method, url, data, headers):
        answer = self._transport(
            url,
            data=data,
            headers=headers,
            method=method,
            timeout=self._timeout,
            follow_redirects="none",
            use_proxy=not _is_loopback(self.url),
            http_agent="nanny.ops",
        )
        found = answer.read(CAP + 1)
        if len(found) > CAP:
            raise ValueError("the answer has more than %d bytes" % CAP)
        return found

    def _decoded(self, raw):
        try:
            return json.loads(raw) if raw else {}
        except ValueError as wrong:
            raise ControlPlaneError(
                "%s answers with something that is not JSON. Is this a control plane of nanny-ops?" % self.url
            ) from wrong

    def _unreachable(self, broken):
        reason = getattr(broken, "reason", None) or broken
        hint = "Look whether it runs and can be reached from here."
        if "CERTIFICATE_VERIFY_FAILED" in str(reason):
            hint = "Its certificate is not trusted here: name the authority that signed it in 'ca_file'."
        return ControlPlaneError("No answer from %s: %s. %s" % (self.url, reason, hint), code="unreachable")


def control_plane(options):
    """Return the control plane that options name. Raises ControlPlaneError for an option that cannot be."""
    if not options.get("token"):
        raise ControlPlaneError("A token is needed: give it with 'token' or in NANNY_OPS_TOKEN.")
    if options["request_timeout"] < 1 or options["request_tries"] < 1:
        raise ControlPlaneError("'request_timeout' and 'request_tries' must be at least 1.")
    return ControlPlane(
        options["url"],
        options["token"],
        ca_file=options["ca_file"],
        validate_certs=options["validate_certs"],
        timeout=options["request_timeout"],
        tries=options["request_tries"],
    )


def segment(word):
    """Return a word as one part of an address."""
    return quote(str(word), safe="")


def _checked(url):
    if not url:
        raise ControlPlaneError("Say where the control plane is: with 'url' or in NANNY_OPS_URL.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ControlPlaneError("'%s' is not an address such as https://ops.example.com:8443." % url)
    if parts.username or parts.password:
        raise ControlPlaneError("The address holds a password; take it out and use a token.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ControlPlaneError("A token must not travel unencrypted: use https:// for %s." % parts.hostname)
    return url.rstrip("/")


def _is_loopback(url):
    return urlsplit(url).hostname in LOOPBACK


def _query(query):
    given = {name: _word(value) for name, value in (query or {}).items() if value is not None}
    return "?" + urlencode(given) if given else ""


def _word(value):
    return ("true" if value else "false") if isinstance(value, bool) else value


def _may_repeat(status, repeat):
    return status in (PASSING if repeat else UNTOUCHED)


def _never_arrived(broken):
    return isinstance(getattr(broken, "reason", broken), ConnectionRefusedError)


def _after(refused):
    after = refused.headers.get("Retry-After", "") if refused.headers else ""
    return float(after) if after.isdigit() else None


def _pause(tried, after, jitter):
    if after is not None:
        return min(LONGEST_PAUSE, after) + jitter
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tried - 1)) * (0.5 + jitter / 2)


def _refusal(method, path, refused):
    """Return the control plane's own sentence with what to do next; a proxy's answer has only its status."""
    try:
        told = json.loads(refused.read(CAP))
    except (ValueError, OSError):
        told = {}
    error = told.get("error") if isinstance(told, dict) else None
    if isinstance(error, dict):  # how people are told
        sentence, code, details = error.get("message", ""), error.get("code", ""), error.get("details")
    else:  # how agents are told
        sentence, code = (told.get("error_description", ""), error or "") if isinstance(told, dict) else ("", "")
        details = told.get("details") if isinstance(told, dict) else None
    parts = ["%s %s: %d." % (method, path, refused.code), sentence, ADVICE.get(refused.code, "")]
    return ControlPlaneError(" ".join(part for part in parts if part), refused.code, code, details)
