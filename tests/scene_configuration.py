"""The published scene configuration, for tests that draw scenes."""

from __future__ import annotations

from typing import Any


def scene_configuration(**changes: Any) -> dict[str, Any]:
    """Twelve scenes of the dev split as published, with the values at `section__key` replaced."""
    config: dict[str, Any] = {
        "random_seed": 0,
        "dataset": "dev",
        "scene_datasets": {"n_scenes": 12, "room_selection": "SEQUENTIAL", "scene_start_index": 6001},
        "target": {
            "target_speakers": "target_speech_list.json",
            "target_selection": "SEQUENTIAL",
            "pre_samples_range": [66150, 88200],
            "post_samples_range": [44100, 44100],
        },
        "interferer": {
            "speech_interferers": "masker_speech_list.json",
            "noise_interferers": "masker_nonspeech_list.json",
            "music_interferers": "masker_music_list.json",
            "number": [2, 3],
            "start_time_range": [0, 0],
            "end_early_time_range": [0, 0],
        },
        "snr_range": [-12, 6],
        "listener": {
            "heads": ["DemoA", "DemoB"],
            "channels": ["ED", "BTE_fr", "BTE_mid", "BTE_rear"],
            "relative_start_time_range": [-28004, 38147],
            "duration_mean": 8820,
            "duration_sd": 441,
            "angle_initial_mean": 25,
            "angle_initial_sd": 5,
            "angle_final_range": [0, 10],
        },
        "shuffle_rooms": False,
    }
    for place, value in changes.items():
        *sections, key = place.split("__")
        section = config
        for name in sections:
            section = section[name]
        section[key] = value
    return config
