"""Makes the demo clips under assets/: ``python -m scripts.make_demo_assets``.

Needs the packages of requirements-dev.txt and espeak-ng (``apt-get install espeak-ng``). The
project does not use this at run time; the videos are part of the repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("assets"), help="folder")
    parser.add_argument("--crf", type=int, default=18, help="x264 quality of both videos")
    arguments = parser.parse_args()
    from scripts.demo_assets.clips import make_clips  # takes seconds

    make_clips(arguments.output, crf=arguments.crf)


if __name__ == "__main__":
    main()
