"""A keeper holds its run to its limits, runs it once, and leaves nothing when it is told to end."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from nanny_ops.control.playbooks import descent, keeper
from nanny_ops.control.playbooks.folder import Folder, Order
from nanny_ops.protocol.playbook_run import RunOutcome

PATIENCE = 90
PLAY = """
- name: Hang
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Sleep
      ansible.builtin.shell: "echo $$ > {{ where }}.new && mv {{ where }}.new {{ where }} && sleep 874"
"""


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


def test_a_unit_that_forbids_priorities_forbids_no_run() -> None:
    asked: list[int] = []

    def forbidden(more: int) -> None:
        asked.append(more)
        raise PermissionError(1, "Operation not permitted")

    keeper.give_way(forbidden)
    assert asked == [5]


def test_a_run_is_bounded_and_ends_with_its_keeper(tmp_path: Path) -> None:
    play, where = tmp_path / "hang.yml", tmp_path / "where"
    play.write_text(PLAY)
    folder = Folder(tmp_path / "run")
    order = Order(
        run_id=f"run-{os.getpid()}", playbook=str(play), check=False, timeout=600, memory=1024, forks=2,
        ansible_home=str(tmp_path / "ansible"),
    )  # fmt: skip
    folder.prepare(order, {"all": {}}, {"where": str(where)})
    os.environ["NANNY_TEST_SECRET"] = "s3cret"
    try:
        keeper.launch(folder)
    finally:
        del os.environ["NANNY_TEST_SECRET"]
    until(where.exists)
    task = Path(f"/proc/{int(where.read_text())}")
    limits = {line[:26].strip(): line[26:].split()[0] for line in (task / "limits").read_text().splitlines()}
    assert limits["Max address space"] == str(1024**3)
    assert limits["Max cpu time"] == "600"
    mine = descent.marked(order.run_id)
    for pid in mine:
        assert b"s3cret" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert str(where).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes() or pid == int(task.name)
    assert folder.is_kept()
    keeper.launch(folder)  # the second finds that the run is kept
    [first] = [pid for pid in mine if b"keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(first, signal.SIGTERM)
    until(lambda: not folder.is_kept())
    ending = folder.ending()
    assert ending is not None
    assert ending.outcome == RunOutcome.UNKNOWN
    assert "told to end" in ending.reason
    until(lambda: not descent.marked(order.run_id))
    keeper.launch(folder)  # nor does it begin twice
    until(lambda: not descent.marked(order.run_id))
    assert folder.ending() == ending
    assert len(folder.happenings.read_text().splitlines()) == 2, "a play and a task, once"
