"""``python inference.py ...`` is ``python -m scripts.inference ...``."""

import sys

from scripts.inference import main

if __name__ == "__main__":
    sys.exit(main())
