"""Verbs and answers can cross a socket: plain, frozen records, and no secret in their text."""

import pickle
from dataclasses import FrozenInstanceError, is_dataclass
from typing import get_args

import pytest

from nanny_ops.machine.verbs import Answer, LookJob, ProxmoxAccess, ReadProxmox, Verb

ACCESS = ProxmoxAccess(url="https://node:8006", token="agent@pve!mon=very-secret", ca_file="/ca.pem")


@pytest.mark.parametrize("kind", [*get_args(Verb), *get_args(Answer)])
def test_each_is_a_frozen_record(kind):
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen


def test_a_verb_survives_the_crossing():
    verb = ReadProxmox(access=ACCESS)
    assert pickle.loads(pickle.dumps(verb)) == verb


def test_a_token_is_not_shown():
    assert "very-secret" not in repr(ReadProxmox(access=ACCESS))


def test_a_verb_does_not_change_on_its_way():
    verb = LookJob(job_id="a")
    with pytest.raises(FrozenInstanceError):
        verb.job_id = "b"
