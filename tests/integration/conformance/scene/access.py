"""Scenes: users and rights."""

from tests.integration.conformance.scenes import Scenes

SCENES = Scenes()
