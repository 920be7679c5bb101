"""``python -m scripts.jobs ...`` in a checkout: see latentsync.commands.jobs."""

import sys

from latentsync.commands.jobs import main

if __name__ == "__main__":
    sys.exit(main())
