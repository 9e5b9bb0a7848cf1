"""A named error carries a sentence for people and details for programs."""

from nanny_ops import errors


def test_the_docstring_is_the_default_sentence() -> None:
    assert errors.NotFound().message == "There is no such thing."
    assert str(errors.NotFound("No guest 100.")) == "No guest 100."


def test_details_stay_beside_the_sentence() -> None:
    wrong = errors.NannyError("Too long.", field="hostname", most=255)
    assert (str(wrong), wrong.details) == ("Too long.", {"field": "hostname", "most": 255})
