"""The page of what the lab answers is what the code and the recordings say."""

from nanny_ops.lab.pve.routes import ROUTES
from tests.house.lab_calls import FILE, main, render


def test_the_page_is_up_to_date() -> None:
    assert FILE.read_text() == render(), "type ./run docs"


def test_the_check_says_the_same() -> None:
    assert main(["--check"]) == 0


def test_every_answered_call_has_a_row() -> None:
    page = FILE.read_text()
    assert [name for name in ROUTES if f"| `{name}` |" not in page] == []
