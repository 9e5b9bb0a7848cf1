"""What this process counts for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Counts:
    """One registry per app, so that two apps in one process do not disturb each other."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "nanny_http_requests", "HTTP requests answered.", ["method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "nanny_http_request_seconds",
            "Seconds from request to answer, streams excluded.",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )
        self.streams = Gauge("nanny_streams_open", "Event streams open now.", registry=self.registry)
        self.operations = Counter("nanny_operations", "Operations ended.", ["kind", "outcome"], registry=self.registry)
        self.silences = Counter(
            "nanny_leases_lapsed",
            "Agents that fell silent while they ran an operation.",
            ["kind"],
            registry=self.registry,
        )
        self.deferrals = Counter(
            "nanny_orders_deferred",
            "Questions to begin an order that were answered with a wait, by what it waits for.",
            ["bound"],
            registry=self.registry,
        )
        self.resting = Gauge("nanny_nodes_resting", "Nodes that rest after failures in a row.", registry=self.registry)
        self.rests = Counter("nanny_nodes_rested", "Rests that nodes were given.", registry=self.registry)
        self.pruned = Counter(
            "nanny_rows_pruned", "Old rows and outputs that were dropped.", ["what"], registry=self.registry
        )
