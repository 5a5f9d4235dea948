"""``python -m pairloop``."""

from pairloop.cli import main

if __name__ == "__main__":
    main()
