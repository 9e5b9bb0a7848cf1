"""Scenes: what the guest agent knows."""

from tests.integration.conformance.scenes import Scenes

SCENES = Scenes()
