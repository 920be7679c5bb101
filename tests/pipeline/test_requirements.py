"""Which models a configuration asks for, beside the weights of generator and restorer."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from latentsync.pipeline.job import unused_settings
from latentsync.pipeline.requirements import face_models, weights_wanted
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.weights.manifest import (
    FACE_FINDER,
    FACE_MESH,
    HAND_LANDMARKS,
    LR_ASD,
    PALM_FINDER,
    SFACE,
    SMALL_FACE_FINDER,
)

FACES = [FACE_FINDER, SMALL_FACE_FINDER, FACE_MESH]
HANDS = [PALM_FINDER, HAND_LANDMARKS]


def configured(face: Mapping[str, Any]) -> Config:
    config = load_config()
    config.face = SimpleNamespace(**{**vars(config.face), **face})
    return config


@pytest.mark.parametrize(
    ("face", "speakers", "wanted"),
    [
        ({}, False, FACES + HANDS),
        ({"occlusion": "off"}, False, FACES),
        ({"detector": "insightface"}, False, HANDS),
        ({"detector": "Mediapipe", "occlusion": "auto"}, False, FACES + HANDS),
        ({"speaker": "auto"}, False, [*FACES, *HANDS]),
        ({"identity": "sface"}, False, [*FACES, *HANDS, SFACE]),
        ({"speaker": "largest"}, True, [*FACES, *HANDS, LR_ASD]),
    ],
)
def test_the_settings_of_faces_say_which_models_are_needed(face, speakers, wanted) -> None:
    assert face_models(configured(face), speakers=speakers) == wanted


@pytest.mark.parametrize("speech", [False, True])
def test_every_run_needs_the_models_of_faces(speech: bool) -> None:
    config = load_config(overrides=["generate.name=replay"])
    wanted = [model for model, path in weights_wanted(config, speech=speech) if path is None]
    assert wanted == FACES + HANDS


def test_all_of_them_are_fetched_without_a_question() -> None:
    models = [*FACES, *HANDS, LR_ASD]
    assert all(model.is_small for model in models)
    assert sum(model.bytes for model in models) < 10e6


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("latentsync", ["generate.replay=...", "generate.musetalk=..."]),
        ("musetalk", ["generate.steps=9", "generate.replay=..."]),
        ("replay", ["generate.steps=9", "generate.vae_batch=2", "generate.musetalk=..."]),
        ("tests.support.soft_mouths:load", []),
    ],
)
def test_a_setting_of_another_generator_is_named(name: str, unused: list[str]) -> None:
    changed = ("steps=9", "vae_batch=2", "replay.silence_weight=1", "musetalk.bbox_shift=2")
    given = [f"generate.{one}" for one in changed]
    assert unused_settings(load_config(None, [*given, f"generate.name={name}"])) == unused


def test_what_a_preset_or_nobody_changed_is_not_named() -> None:
    assert unused_settings(load_config(None, ["generate.name=musetalk", "preset=fast"])) == []
    assert unused_settings(load_config(None, ["generate.name=replay"])) == []
