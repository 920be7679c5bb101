"""``python -m scripts.provenance ...`` in a checkout: see latentsync.commands.provenance."""

import sys

from latentsync.commands.provenance import main

if __name__ == "__main__":
    sys.exit(main())
