"""The quality of the project's own results, from real commands: a table that is diffed in one look.

    python -m benchmarks.quality [--clips CLIP ...] [--only NAME ...] [--json FILE]
                                 [--markdown FILE] [-- flags of the evaluate command]

Without --clips the demo clip of assets/ is used. Of each clip:
  softened  its lower face is blurred, as a generator leaves it: what the next two begin with
  Detail    the softened clip restored with Detail
  Self      the same with Self, which has the clip for its reference
  replay    new speech, the demo's, laid on the clip's mouth
All are judged against the clip as filmed, after the encode.

A row is a figure, a column a clip and a command. Values are rounded to what means something (the
grain of the figure), so that a table made again differs only where the results do. A mark stands
for the grade: + good, ~ fair, - poor.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.judge_sensitivity import blurred, filmed_seconds, with_fault, write_video
from benchmarks.table import markdown
from latentsync.commands.quiet import quiet_libraries
from latentsync.evaluate.figures import FIGURES

ASSETS = Path(__file__).parents[1] / "assets"
CLIPS = (ASSETS / "demo_talking.mp4",)
SPEECH = ASSETS / "demo_speech.wav"
SOFT = 1.6  # sigma of the blur, pixels, as of assets/demo_lipsynced.mp4
SECONDS = 10.0  # of each clip
MARKS = {"good": "+", "fair": "~", "poor": "-"}

COMMANDS: dict[str, tuple[str, ...]] = {
    "softened": (),
    "Detail": ("--superres", "Detail"),
    "Self": ("--superres", "Self", "--reference", "{clip}"),
    "replay": ("--generator", "replay", "--audio", "{speech}"),
}
"""By name, what the inference command is given beside input and output; (): it is not run. With new
speech the input is the clip, otherwise the softened clip."""

Figures = Mapping[str, Mapping[str, Any]]


def results(
    clip: Path, names: Sequence[str], flags: Sequence[str]
) -> Iterator[tuple[str, Figures]]:
    """The figures of each command's result."""
    with tempfile.TemporaryDirectory() as folder:
        soft = Path(folder, "soft.mp4")
        filmed = filmed_seconds(clip, SECONDS)
        frames = with_fault(filmed, blurred(SOFT), hard=False)
        write_video(frames, filmed, soft)
        for name in names:
            speaks = "--generator" in COMMANDS[name]
            source = clip if speaks else soft
            target = soft if not COMMANDS[name] else Path(folder, f"{name}.mp4")
            if COMMANDS[name]:
                given = [word.format(clip=clip, speech=SPEECH) for word in COMMANDS[name]]
                _run("inference", "--input", source, "--output", target, *given)
            yield name, figures_of(target, clip, flags)


def figures_of(result: Path, source: Path, flags: Sequence[str]) -> Figures:
    """By the evaluate command."""
    target = result.with_suffix(".figures.json")
    _run("evaluate", result, "--source", source, "--json", target, *flags)
    figures: Figures = json.loads(target.read_text("utf-8"))["figures"]
    return figures


def _run(script: str, *words: str | Path) -> None:
    command = [sys.executable, "-m", f"scripts.{script}", *map(str, words), "--quiet"]
    subprocess.run(command, check=True)


def rows(found: Mapping[str, Figures]) -> list[list[str]]:
    """A row for each figure that any result has. found: by column, by figure."""
    names = dict.fromkeys(name for figures in found.values() for name in figures)
    lines = [["figure", *found]]
    for name in names:
        cells = [
            _cell(name, figures[name]) if name in figures else "" for figures in found.values()
        ]
        unit = next(figures[name]["unit"] for figures in found.values() if name in figures)
        lines.append([f"{name} [{unit}]" if unit else name, *cells])
    return lines


def _cell(name: str, figure: Mapping[str, Any]) -> str:
    grain = FIGURES[name].grain if name in FIGURES else 0.0
    return f"{rounded(figure['value'], grain)} {MARKS.get(figure['grade'], '')}".strip()


def rounded(value: float, grain: float) -> str:
    """To whole grains, with as many digits as the grain has; to three digits without a grain."""
    if not grain:
        return f"{value:.3g}"
    digits = max(0, math.ceil(-math.log10(grain)))
    return f"{round(value / grain) * grain + 0.0:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=Path, nargs="+", default=CLIPS)
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, not rounded")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table")
    parser.add_argument("flags", nargs="*", help="after --: passed on to the evaluate command")
    args = parser.parse_args(arguments)
    found: dict[str, Figures] = {}
    for clip in args.clips:
        for name, figures in results(clip, args.only or list(COMMANDS), args.flags):
            found[f"{clip.stem}: {name}"] = figures
            print(f"{clip.stem}: {name} is judged", file=sys.stderr, flush=True)
    made = markdown(rows(found))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    if args.markdown is not None:
        args.markdown.write_text(made + "\n", "utf-8")
    print(made)


if __name__ == "__main__":
    with quiet_libraries():
        main()
