"""The client's calls about playbooks and their runs."""

from collections.abc import Mapping
from typing import Any

from nanny_ops.cli.answer import report_of, run_of
from nanny_ops.cli.client_call import Calls, segment
from nanny_ops.protocol.play_report import PlayReportDetail
from nanny_ops.protocol.playbook_run import PlaybookRun

#: Events asked for at once.
EVENTS = 500


class PlaybookCalls(Calls):
    """What :class:`nanny_ops.cli.client.Client` can say about playbooks."""

    def playbooks(self, limit: int) -> list[dict[str, Any]]:
        """List the playbooks that may be run. Raises Unavailable where Ansible is not installed."""
        return list(self._every("/api/playbooks", {}, limit))

    def playbook(self, name: str) -> dict[str, Any]:
        """Show a playbook with what it takes. Raises NotFound."""
        found: dict[str, Any] = self._send("GET", f"/api/playbooks/{segment(name)}", repeatable=True).json()
        return found

    def run_playbook(self, order: Mapping[str, Any]) -> PlaybookRun:
        """Order a run; fields as in PlaybookRunRequest. Raises ValidationFailed, Forbidden, NotFound, Conflict."""
        return run_of(self._send("POST", "/api/playbook-runs", body=dict(order)).json())

    def playbook_runs(self, limit: int, **filters: str) -> list[PlaybookRun]:
        """List runs, newest first; filters are playbook and status."""
        return [run_of(row) for row in self._every("/api/playbook-runs", filters, limit)]

    def playbook_run(self, run_id: str) -> PlaybookRun:
        """Show a run. Raises NotFound."""
        return run_of(self._send("GET", f"/api/playbook-runs/{segment(run_id)}", repeatable=True).json())

    def cancel_playbook_run(self, run_id: str) -> PlaybookRun:
        """End a run. Raises NotFound, Forbidden, Conflict when it has ended."""
        return run_of(self._send("POST", f"/api/playbook-runs/{segment(run_id)}/cancel", repeatable=True).json())

    def playbook_events(self, run_id: str, after: int = 0) -> list[dict[str, Any]]:
        """Return the next events of a run behind a ``seq``, oldest first; none where there are no more."""
        query = {"after": str(after), "limit": str(EVENTS)}
        path = f"/api/playbook-runs/{segment(run_id)}/events"
        found: list[dict[str, Any]] = self._send("GET", path, query=query, repeatable=True).json()["items"]
        return found

    def playbook_output(self, run_id: str, offset: int = 0) -> bytes:
        """Return the next piece of what Ansible printed from a byte on. Raises Forbidden, NotFound."""
        path = f"/api/playbook-runs/{segment(run_id)}/output"
        found: bytes = self._send("GET", path, query={"offset": str(offset)}, repeatable=True).content
        return found

    def play_reports(self, limit: int, **filters: str) -> list[dict[str, Any]]:
        """List what plays that ran elsewhere came to, newest first; filters are playbook, outcome and check."""
        return list(self._every("/api/play-reports", filters, limit))

    def play_report(self, report_id: str) -> PlayReportDetail:
        """Show one report with its hosts and tasks. Raises NotFound."""
        return report_of(self._send("GET", f"/api/play-reports/{segment(report_id)}", repeatable=True).json())
