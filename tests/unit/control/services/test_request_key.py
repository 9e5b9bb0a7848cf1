"""Idempotency-Keys: one person's, for one request."""

from dataclasses import dataclass

import pytest

from nanny_ops.control.services import request_key
from nanny_ops.control.services.principal import Person
from nanny_ops.errors import Conflict


@dataclass(frozen=True)
class Asked:
    name: str


def of(person_id: str, key: str, name: str = "x") -> request_key.RequestKey:
    return request_key.read(Person(person_id, "a@example.com", "a", False, {}), key, Asked(name))


def test_a_key_is_a_persons_own_and_is_not_kept_itself() -> None:
    assert of("user-1", "k") == of("user-1", "k")
    assert of("user-1", "k").name != of("user-2", "k").name
    assert of("user-1", "k").name != "k"
    assert of("user-1", "").name is None


def test_another_request_with_the_same_key_is_refused() -> None:
    first = of("user-1", "k")
    of("user-1", "k").demand_same(first.digest)
    with pytest.raises(Conflict, match="another request"):
        of("user-1", "k", "y").demand_same(first.digest)
