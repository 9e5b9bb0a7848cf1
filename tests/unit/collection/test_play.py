"""What the callback plugin sends is what the control plane takes, name by name."""

from dataclasses import fields

from ansible_collections.nanny.ops.plugins.module_utils import play
from pydantic import TypeAdapter

from nanny_ops.protocol import play_report as wire


def test_a_report_is_taken_as_it_is_sent() -> None:
    playing = play.Play("site.yml", True, "2.20.0", lambda: 1000.0)
    playing.tell("failed", "pve1", "Task", "Play", "ansible.builtin.copy", 0.5, message="No room.", diff="-a")
    sent = playing.report({"pve1": dict.fromkeys(play.COUNTED, 1)})
    taken = TypeAdapter(wire.PlayReportRequest).validate_python(sent)
    assert taken.tasks[0].message == "No room."
    assert set(sent["tasks"][0]) == {one.name for one in fields(wire.PlayTask)}
    assert set(sent["hosts"]["pve1"]) == {one.name for one in fields(wire.PlayHost)}


def test_what_is_sent_at_most_is_taken() -> None:
    assert play.MOST_HOSTS <= wire.MOST_HOSTS
    assert play.MOST_TASKS + play.RESERVE <= wire.MOST_TASKS
    assert play.MESSAGE <= wire.MESSAGE
    assert play.DIFF <= wire.DIFF
    assert play.ALL < wire.MOST_LETTERS
