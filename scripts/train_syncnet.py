"""``python -m scripts.train_syncnet ...`` in a checkout: see latentsync.commands.train_syncnet."""

import sys

from latentsync.commands.train_syncnet import main

if __name__ == "__main__":
    sys.exit(main())
