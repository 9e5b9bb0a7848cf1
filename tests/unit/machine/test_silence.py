"""A script that says nothing is noticed once per silence; what reached its cap says nothing about it."""

from pathlib import Path

import pytest

from nanny_ops.machine.silence import TAIL, Notice, Silence, read
from nanny_ops.protocol.clock import parse_stamp


@pytest.mark.rows("F1")
def test_a_silence_is_noticed_once_and_ends_with_a_word(tmp_path: Path) -> None:
    now, told, out = [0.0], list[float](), tmp_path / "stdout"
    silence = Silence([out, tmp_path / "stderr"], limit=60, cap=1000, noticed=told.append, tick=lambda: now[0])
    silence.over = lambda: told.append(0)
    for _ in range(30):
        silence.look()
        now[0] += 10
    assert told == [60]
    out.write_text("a word\n")
    for _ in range(8):
        silence.look()
        now[0] += 10
    assert told == [60, 0, 60]
    assert silence.longest == 290


def test_no_limit_and_a_full_file_are_never_noticed(tmp_path: Path) -> None:
    now, told = [0.0], list[float]()
    (tmp_path / "stdout").write_bytes(bytes(10))
    for limit, cap in ((0, 1000), (60, 10)):
        silence = Silence([tmp_path / "stdout"], limit, cap, told.append, tick=lambda: now[0])
        for _ in range(20):
            silence.look()
            now[0] += 10
    assert told == []


@pytest.mark.rows("F1")
def test_what_is_told_while_it_lasts_names_the_minute_and_the_last_words(tmp_path: Path) -> None:
    notes = list[str]()
    notice = Notice(tmp_path, notes, lambda: parse_stamp("2026-03-01T12:10:00Z"))
    (tmp_path / "stdout").write_text("one\nSetting up x (2) ...\nnanny-note {}\nWhat now?\x1b[2J \n")
    notice.begun(600)
    told = read(tmp_path)
    assert "since 2026-03-01T12:00:00" in told
    assert told.endswith("one | Setting up x (2) ... | What now?\N{REPLACEMENT CHARACTER}[2J")
    assert notes == [f"stalled: {told}"]
    notice.over()
    notice.over()
    assert read(tmp_path) == ""


def test_last_words_are_told_without_secrets_also_where_their_sign_is_cut_off(tmp_path: Path) -> None:
    notice = Notice(tmp_path, list[str](), lambda: parse_stamp("2026-03-01T12:10:00Z"))
    (tmp_path / "stdout").write_text("Get https://u:geheim@host/\n")
    (tmp_path / "stderr").write_text("x" * 5000 + " password=" + "k" * TAIL)
    notice.begun(600)
    assert "https://u:******@host/" in read(tmp_path)
    assert "geheim" not in read(tmp_path)
    assert "kk" not in read(tmp_path)


def test_a_silence_that_cannot_be_written_down_is_noted_all_the_same(tmp_path: Path) -> None:
    notes, wrong = list[str](), list[BaseException]()
    Notice(tmp_path / "none", notes, log=wrong.append).begun(61)
    assert (notes, len(wrong)) == (["stalled: The script had said nothing for 61 s."], 1)
