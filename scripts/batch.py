"""``python -m scripts.batch ...`` in a checkout: see latentsync.commands.run_jobs."""

import sys

from latentsync.commands.run_jobs import main

if __name__ == "__main__":
    sys.exit(main())
