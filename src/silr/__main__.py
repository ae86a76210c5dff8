"""``python -m silr`` is the command line."""

from silr.cli.main import main

main()
