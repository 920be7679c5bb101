"""``python -m scripts.prepare_data ...`` in a checkout: see latentsync.commands.prepare_data."""

import sys

from latentsync.commands.prepare_data import main

if __name__ == "__main__":
    sys.exit(main())
