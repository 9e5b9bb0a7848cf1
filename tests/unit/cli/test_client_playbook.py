"""The calls about playbooks put names into addresses safely and make records of answers."""

import httpx

from nanny_ops.cli.client import Client
from tests.unit.cli.test_playbook_watch import RUN


def test_calls_go_where_they_should() -> None:
    asked: list[str] = []

    def plane(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.raw_path.decode()}")
        if request.url.path.endswith("/output"):
            return httpx.Response(200, content=b"PLAY")
        return httpx.Response(200, json=RUN)

    with Client("http://127.0.0.1:1", "t", transport=httpx.MockTransport(plane)) as client:
        assert client.run_playbook({"playbook": "facts"}).id == "run-1"
        assert client.cancel_playbook_run("../x").status == "running"
        assert client.playbook_output("run-1", 4) == b"PLAY"
        client.playbook("a/b")
    assert asked == [
        "POST /api/playbook-runs",
        "POST /api/playbook-runs/..%2Fx/cancel",
        "GET /api/playbook-runs/run-1/output?offset=4",
        "GET /api/playbooks/a%2Fb",
    ]
