"""``python -m scripts.evaluate ...`` in a checkout: see latentsync.commands.evaluate."""

import sys

from latentsync.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
