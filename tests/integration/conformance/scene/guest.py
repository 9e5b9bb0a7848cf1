"""Scenes: guests in another state."""

from tests.integration.conformance.scenes import Scenes

SCENES = Scenes()
