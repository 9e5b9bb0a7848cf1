"""Scenes: tasks that went before."""

from tests.integration.conformance.scenes import Scenes

SCENES = Scenes()
