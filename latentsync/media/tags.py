"""The metadata of a file: which of the source's keys are carried, and what a muxer does to them."""

from __future__ import annotations

from collections.abc import Mapping

_STALE = ("major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "duration")
_STALE_BEGINNINGS = ("bps", "number_of_", "_statistics_", "duration-", "bps-")
"""Metadata that describes the old file and would be wrong in the new one."""

_OF_MXF = {
    *("operational_pattern_ul", "uid", "generation_uid", "company_name", "product_name"),
    *("product_version_num", "product_version", "product_uid", "application_platform"),
    *("toolkit_version_num", "modification_date"),
}
"""What wrote an MXF file, and how."""

_MOV = {
    *("title", "artist", "album", "date", "comment", "genre", "copyright", "make", "model"),
    *("creation_time", "location", "location-eng"),
}
_MP4 = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"),
    *("copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"),
    *("network", "keywords", "track", "disc", "episode_sort", "season_number", "media_type"),
    *("compilation", "hd_video", "gapless_playback", "creation_time", "location", "location-eng"),
}
_STANDARD = {"mp4": _MP4, "mov": _MOV}
"""FFmpeg muxer -> the keys that it has boxes for. Any other key needs `use_metadata_tags`."""

IN_QUICKTIME = {
    "bod": "tib",
    "cym": "wel",
    "deu": "ger",
    "ell": "gre",
    "eus": "baq",
    "fas": "per",
    "hye": "arm",
    "isl": "ice",
    "kat": "geo",
    "mkd": "mac",
    "msa": "may",
    "mya": "bur",
    "nld": "dut",
    "sqi": "alb",
    "zho": "chi",
}
"""ISO 639-2 has two codes for these. MP4 takes the first; FFmpeg writes only the second to .mov."""


def kept_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata that is as true of the new file, or stream, as of the old one."""
    mxf = _OF_MXF if "operational_pattern_ul" in metadata else ()
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in (*_STALE, *mxf)
        and not key.lower().endswith("_umid")
        and not key.lower().startswith(_STALE_BEGINNINGS)
        and not (key.lower() == "software" and value.startswith("Lavf"))  # AVI's "encoder"
    }


def own_keys(tags: Mapping[str, str], muxer: str) -> list[str]:
    """The keys that this muxer would drop without `use_metadata_tags`."""
    standard = _STANDARD.get(muxer)
    if standard is None:
        return []
    return [key for key in tags if key.lower() not in standard and key.lower() != "timecode"]
