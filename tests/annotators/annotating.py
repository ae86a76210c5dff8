"""A script that annotates a table in small batches, for processes that a test ends."""

import sys

from silr.annotators import LocalAnnotator, annotate_file

source, output, model = sys.argv[1:]
annotate_file(source, output, LocalAnnotator(model, ["no", "yes"], token_budget=400), quiet=True)
