"""``--list-speakers``: the people of a video as a table, and a contact sheet beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from latentsync.commands.console import DONE
from latentsync.errors import ConfigError
from latentsync.media.files import check_free
from latentsync.settings.schema import Config


def list_speakers(options: argparse.Namespace, config: Config) -> int:
    """Prints the table and writes the contact sheet: where --output says, if it ends in .png, else
    VIDEO_speakers.png in the current folder. Raises ConfigError and MediaError."""
    if config.input.video is None or len(options.input) > 1:
        given = "not given" if config.input.video is None else f"{len(options.input)} videos"
        raise ConfigError("input.video", given, "pass --input VIDEO, one video")
    target = Path(f"{Path(config.input.video).stem}_speakers.png")
    if config.output.path is not None and config.output.path.lower().endswith(".png"):
        target = Path(config.output.path)
    check_free(target, overwrite=config.output.overwrite)
    # What follows imports torch, which takes seconds.
    from latentsync.commands.work import people_of_video, progress_of
    from latentsync.pipeline.contact_sheet import people_table, write_contact_sheet

    people, seconds = people_of_video(config, progress_of(options))
    spoken = people.speaking
    speech = spoken.spans if spoken.evidence else None
    write_contact_sheet(people.all, target, seconds=seconds, speech=speech)
    for line in people_table(people.all, speech=speech):
        print(line)
    if not spoken.evidence:
        print("who speaks is not known: the video has no audio")
    elif spoken.uncertain and len(people.all) > 1:
        print("who speaks most is uncertain")
    print(f"{target}: the people of {config.input.video}; choose one with --speaker NUMBER")
    return DONE
