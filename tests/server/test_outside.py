"""Settings from outside: numbers, switches and choices, but no file, no module, no secret."""

from __future__ import annotations

import time
from typing import Any

import pytest

from latentsync.server.jobs.outside import checked, configured, may_be_set
from latentsync.settings import paths
from latentsync.settings.load import all_keys
from latentsync.settings.old_keys import RENAMED
from tests.support.serving import refused

PATHS = (*paths.INPUT_PATHS, "output.path", "output.watermark", "speakers")


@pytest.mark.parametrize("key", PATHS)
def test_no_setting_that_holds_a_path_may_be_set(key: str) -> None:
    assert not may_be_set(key)
    with refused(422, "setting", "leave it out" if key in all_keys() else ""):
        checked({key: "/etc/passwd"})


def test_a_text_that_is_not_listed_may_not_be_set_so_a_new_path_never_may() -> None:
    from latentsync.server.jobs.outside import TEXTS
    from latentsync.settings.described import described

    texts = {one.key for one in described() if one.kind in ("text", "list")}
    assert {key for key in texts if may_be_set(key)} == set(TEXTS)


@pytest.mark.parametrize(
    "settings",
    [
        {"weights.offline": False},
        {"runtime.threads": 1000},
        {"runtime.device": "cuda"},
        {"output.sign.key": "/k"},
        {"output": {"sign": {"key": "/k"}}},
        {" Output.path": "/x"},
        {"output.path ": "/x"},
        {"data.resolution": 4096},
        {"model": {"in_channels": 13}},
        {"speakers": [{"audio": "/etc/passwd"}]},
    ],
)
def test_what_is_the_servers_own_is_refused(settings: dict[str, Any]) -> None:
    with refused(422, "setting"):
        checked(settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"restore.name": "os:system"}, "use one of Detail, Self, GFPGAN, CodeFormer, none"),
        ({"generate.name": "a.b:load"}, "use one of latentsync, musetalk, replay"),
        ({"face.detector": "my_detector:load"}, "use one of mediapipe, insightface"),
        ({"face.speaker": "/etc/passwd"}, "use largest, left"),
        ({"face.select": "/etc/passwd"}, "use largest, left"),
        ({"face.speaker": "/no/such.png"}, "use largest, left"),
        ({"output.aigc.producer": "${oc.env:HOME}"}, "without ${"),
        ({"output.mix": "-18dB\nx"}, "at most"),
        ({"output.aigc.producer": "x" * 501}, "at most 500 characters"),
        ({"output.crf": [1, 2]}, "use a number, a text"),
        ({"generate.guidance_interval": ["/etc/passwd", 1]}, "use a list of numbers"),
        ({"generate.guidance_interval": [True, 1]}, "use a list of numbers"),
        ({"generate.guidance_interval": [0.5] * 9}, "use a list of numbers"),
    ],
)
def test_a_value_names_no_file_no_module_and_no_variable(
    settings: dict[str, Any], words: str
) -> None:
    (key,) = settings
    with refused(422, "setting", words, field=key):
        checked(settings)


def test_a_file_that_is_there_is_refused_as_one_that_is_not() -> None:
    said = []
    for path in (__file__, f"{__file__}.not"):
        with refused(422, "setting") as error:
            checked({"face.speaker": path})
        said.append(str(error.value).replace(path, ""))
    assert said[0] == said[1]


def test_settings_may_be_nested_as_in_a_yaml_file_and_null_is_not_given() -> None:
    tree = {"output": {"crf": 20, "codec": None}, "restore.name": "gfpgan", "face": {"speaker": 2}}
    assert checked(tree) == {"output.crf": 20, "restore.name": "gfpgan", "face.speaker": 2}


def test_a_list_of_numbers_may_be_set_where_one_is_meant() -> None:
    settings = {"generate.guidance_interval": [0.2, 0.8]}
    assert configured(None, checked(settings)).generate.guidance_interval == [0.2, 0.8]
    with refused(422, "setting", "two rising numbers", field="generate.guidance_interval"):
        configured(None, checked({"generate.guidance_interval": [0.8, 0.2]}))


def test_a_key_without_end_is_refused_at_once() -> None:
    begin = time.process_time()
    with refused(422, "setting", "unknown key"):
        checked({"output." + "x" * 1_000_000: 1})
    assert time.process_time() - begin < 0.5  # a search for the one that was meant takes minutes


def test_settings_that_are_nested_without_end_are_refused() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = {"a": deep}
    with refused(422, "setting") as error:
        checked(deep)
    assert len(str(error.value)) < 2000


def test_all_else_is_worded_as_the_command_words_it() -> None:
    for settings, field, words in (
        ({"output.crf": 99}, "output.crf", "output.crf: 99; use a number from 0 to 51"),
        ({"output.crf": "x"}, "output.crf", "could not be converted"),
        ({"preset": "fats"}, "preset", "did you mean fast?"),
    ):
        with refused(422, "setting", words, field=field):
            configured(None, checked(settings))
    with refused(422, "setting", "did you mean restore.name?", field="restore.nme"):
        checked({"restore.nme": "x"})


def test_old_keys_are_what_their_new_ones_are() -> None:
    for old, now in RENAMED.items():
        assert may_be_set(old) == may_be_set(now.key)
