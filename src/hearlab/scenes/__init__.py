"""Rooms, scenes and their rendering to hearing-aid microphones (Clarity CEC2)."""

from hearlab.scenes.builder import build_scenes
from hearlab.scenes.renderer import RenderOptions, render_scene
from hearlab.scenes.rooms import build_rooms

__all__ = ["RenderOptions", "build_rooms", "build_scenes", "render_scene"]
