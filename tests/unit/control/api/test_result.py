"""The multipart reader takes a body cut anywhere and never more than it should."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.api.result import Form, read_metadata
from nanny_ops.control.store.output import Outputs
from nanny_ops.errors import BadRequest, ValidationFailed

KIND = 'multipart/form-data; boundary="b"'


def body(**parts: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\nContent-Type: text/plain\r\n\r\n'
    return b"".join(head % name.encode() + data + b"\r\n" for name, data in parts.items()) + b"--b--\r\n"


@given(st.binary(max_size=200), st.binary(max_size=50), st.lists(st.integers(0, 600), max_size=8))
def test_any_cut_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, stdout: bytes, metadata: bytes, cuts: list[int]
) -> None:
    outputs = Outputs(tmp_path_factory.mktemp("form"))
    incoming, sent = outputs.receive("op"), body(metadata=metadata, stdout=stdout, other=b"ignored")
    form, places = Form(KIND, incoming), sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    if b"\r\n--b" in stdout + metadata:
        return
    for start, end in itertools.pairwise(places):
        form.feed(sent[start:end])
    form.check_end()
    assert form.text("metadata") == metadata
    file = outputs.find("op", incoming.keep(b""), "stdout")
    incoming.discard()
    assert file is not None
    assert file.read_bytes() == stdout


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 99_999]
)
def test_another_body_is_refused(tmp_path: Path, kind: str) -> None:
    incoming = Outputs(tmp_path).receive("op")
    with pytest.raises(BadRequest):
        Form(kind, incoming)
    incoming.discard()


def test_wrong_metadata_names_its_field() -> None:
    with pytest.raises(ValidationFailed) as caught:
        read_metadata(b'{"operation_id": "x", "success": true, "package_list": [{}]}')
    assert caught.value.details["field"] == "metadata.package_list.0.name"
    with pytest.raises(ValidationFailed):
        read_metadata(b"\xff")
