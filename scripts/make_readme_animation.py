"""Makes the images of the README: ``python -m scripts.make_readme_animation``.

Restores the demo clip with `Detail` and `Self`, by the same command that a user runs, and writes
assets/before_after.webp (animated) and assets/restorers.jpg. Needs requirements-dev.txt: Pillow
comes with scikit-image.
"""

from __future__ import annotations

import argparse


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    from scripts.demo_assets.readme_images import make_images  # takes seconds

    make_images()


if __name__ == "__main__":
    main()
