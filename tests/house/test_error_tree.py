"""The page of errors draws every error it defines, with its status."""

import re

from nanny_ops import errors


def _classes() -> dict[str, type[errors.NannyError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.NannyError)
    }


def test_every_error_is_in_the_drawing() -> None:
    drawn = set(re.findall(r"[A-Z][A-Za-z]+", errors.__doc__ or ""))
    assert set(_classes()) - drawn == set()


def test_drawn_statuses_are_true() -> None:
    statuses = re.findall(r"── (\w+) \((\d+)", errors.__doc__ or "")
    assert len(statuses) >= 10
    assert {name: _classes()[name].status for name, _ in statuses} == {name: int(status) for name, status in statuses}


def test_every_error_has_a_sentence_of_its_own() -> None:
    for name, error in _classes().items():
        assert error().message.endswith("."), name
