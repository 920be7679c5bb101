"""``python -m scripts.train_unet ...`` in a checkout: see latentsync.commands.train_unet."""

import sys

from latentsync.commands.train_unet import main

if __name__ == "__main__":
    sys.exit(main())
