"""Enhancement systems: the interface that an entrant imitates, and the challenges' baseline."""

from hearlab.systems.base import EnhancementSystem, check_music_output, check_speech_output, load_system

__all__ = ["EnhancementSystem", "check_music_output", "check_speech_output", "load_system"]
