"""``python -m scripts.inference ...`` in a checkout: see latentsync.commands.inference."""

import sys

from latentsync.commands.inference import main

if __name__ == "__main__":
    sys.exit(main())
