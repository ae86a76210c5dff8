"""``python -m silr`` is the command line."""

from silr.cli.main import main

if __name__ == "__main__":
    main()
