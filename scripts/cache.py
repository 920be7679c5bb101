"""``python -m scripts.cache ...`` in a checkout: see latentsync.commands.cache."""

import sys

from latentsync.commands.cache import main

if __name__ == "__main__":
    sys.exit(main())
