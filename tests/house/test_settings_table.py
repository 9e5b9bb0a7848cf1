"""Every setting is documented, and the page is what the generator prints."""

import pytest

from nanny_ops.agent import settings as agent_settings
from nanny_ops.control import settings as control_settings
from tests.house.settings_table import FILE, main, render

SETTINGS = [*control_settings.SETTINGS, *agent_settings.SETTINGS]


def test_the_page_is_up_to_date() -> None:
    assert FILE.read_text() == render(), "type ./run docs"


def test_the_check_says_the_same() -> None:
    assert main(["--check"]) == 0


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.env)
def test_every_setting_has_a_sentence(setting: object) -> None:
    assert len(getattr(setting, "help").split()) >= 3  # noqa: B009  two processes, two row types
