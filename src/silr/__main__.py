"""``python -m silr`` is the command line."""

from silr.cli import main

main()
