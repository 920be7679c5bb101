"""``python -m scripts.serve ...`` in a checkout: see latentsync.commands.serve."""

import sys

from latentsync.commands.serve import main

if __name__ == "__main__":
    sys.exit(main())
