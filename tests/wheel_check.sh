#!/usr/bin/env bash
# Builds the wheel, installs it alone, without extras, into a clean environment outside the checkout, and refines a table.
#   bash tests/wheel_check.sh PYTHON [CONSTRAINTS]    (a Python that has the package `build`)
set -euo pipefail
python=$(realpath -s "$1")
constraints=$(realpath "${2:-constraints.txt}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m build --wheel --outdir "$place/dist" . >"$place/build.log" 2>&1 || { cat "$place/build.log"; exit 1; }
"$python" -m venv "$place/venv"
pip=("$place/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --constraint "$constraints")
"${pip[@]}" "$place"/dist/*.whl
cd "$place"
export PATH="$place/venv/bin:$PATH"
python - <<'PYTHON'
import csv
import random

random.seed(0)
good, bad, filler = "great lovely fine happy".split(), "awful broken sad poor".split(), "the a it was this and".split()
with open("reviews.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["text", "truth", "llm_label", "gold"])
    for number in range(600):
        truth = random.choice(["positive", "negative"])
        words = random.choices(filler, k=4) + random.choices(good if truth == "positive" else bad, k=3)
        label = truth if random.random() < (0.97 if truth == "positive" else 0.4) else "positive"
        random.shuffle(words)
        rows.writerow([" ".join(words), truth, label, truth if number < 100 else ""])
PYTHON
silr --version
! python -c "import torch" 2>/dev/null # the default method does without
missing=$(silr demo 2>&1) && exit 1
[ "$missing" = "silr: the demo needs torch: pip install 'silr[local]'" ] || { echo "$missing"; exit 1; }
silr refine reviews.csv -o run --features tfidf --quiet
silr report run --truth truth -o report.html --quiet
silr predict run reviews.csv -o scored.csv --quiet
silr evaluate scored.csv --truth truth --json >scores.json
python - <<'PYTHON'
import json

import numpy

import silr

assert "site-packages" in silr.__file__, silr.__file__
for page in ("run/report.html", "report.html"):
    assert "Refined labels of" in open(page).read(), page
scores = json.load(open("scores.json"))["labels"]
before, after = scores["llm_label"]["accuracy"], scores["refined_label"]["accuracy"]
assert after > before + 0.1, (before, after)
print(f"the wheel works with numpy {numpy.__version__}: accuracy {before:.3f} before, {after:.3f} after")
PYTHON
