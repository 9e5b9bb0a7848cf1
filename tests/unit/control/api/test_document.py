"""The OpenAPI document tells how every refusal looks."""

from pathlib import Path

from nanny_ops.control.app import create_app
from nanny_ops.control.settings import Settings


def test_the_document_names_security_and_refusals(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    document = app.openapi()
    app.state.control.database.close()
    ack = document["paths"]["/api/operations/{operation_id}/ack"]["post"]
    assert ack["security"] == [{"bearer": []}]
    assert {"200", "400", "401", "403", "404", "413", "429", "503"} <= ack["responses"].keys()
    assert "422" not in ack["responses"]
    assert "security" not in document["paths"]["/health"]["get"]
    assert "422" in document["paths"]["/api/auth/login"]["post"]["responses"]
