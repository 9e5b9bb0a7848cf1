"""The stand-in's HTTP API."""
