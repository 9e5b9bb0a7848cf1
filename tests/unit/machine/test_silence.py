"""A script that says nothing is noticed once per silence; what reached its cap says nothing about it."""

from pathlib import Path

import pytest

from nanny_ops.machine.silence import Silence


@pytest.mark.rows("F1")
def test_a_silence_is_noticed_once_and_ends_with_a_word(tmp_path: Path) -> None:
    now, told, out = [0.0], list[float](), tmp_path / "stdout"
    silence = Silence([out, tmp_path / "stderr"], limit=60, cap=1000, noticed=told.append, tick=lambda: now[0])
    for _ in range(30):
        silence.look()
        now[0] += 10
    assert told == [60]
    out.write_text("a word\n")
    for _ in range(8):
        silence.look()
        now[0] += 10
    assert told == [60, 60]
    assert silence.longest == 290


def test_no_limit_and_a_full_file_are_never_noticed(tmp_path: Path) -> None:
    now, told = [0.0], list[float]()
    (tmp_path / "stdout").write_bytes(bytes(10))
    for limit, cap in ((0, 1000), (60, 10)):
        silence = Silence([tmp_path / "stdout"], limit, cap, told.append, lambda: now[0])
        for _ in range(20):
            silence.look()
            now[0] += 10
    assert told == []
