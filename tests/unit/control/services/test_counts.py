"""Each app counts for itself."""

from prometheus_client import generate_latest

from nanny_ops.control.services.counts import Counts


def test_two_apps_do_not_share_their_counters() -> None:
    one, other = Counts(), Counts()
    one.requests.labels("GET", "200").inc()
    assert b'nanny_http_requests_total{method="GET",status="200"} 1.0' in generate_latest(one.registry)
    assert b'status="200"' not in generate_latest(other.registry)
