"""``python -m scripts.download ...`` in a checkout: see latentsync.commands.download."""

import sys

from latentsync.commands.download import main

if __name__ == "__main__":
    sys.exit(main())
