"""``python -m ragsignal.cli``."""

from ragsignal.cli.app import main

if __name__ == "__main__":  # workers that are started afresh import this module again, under another name
    main()
