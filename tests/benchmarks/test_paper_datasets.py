"""The paper's datasets from small folders of their shape, and one run of its configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from command_line import Commands
from paper_datasets import load_any, load_published
from silr.errors import InputError
from synthetic import make_corpus

PAPER = Path(__file__).parents[2] / "benchmarks" / "paper.py"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_dataset_with_texts(tmp_path: Path) -> None:
    """Two splits, labels of two LLMs, one of which did not answer once."""
    rows = {"text": ["Ünsafe?", "fine", "no"], "label": [1, -1, 1], "Llama-1B": [1, 1, None], "gpt": [-1, -1, 1]}
    frame = pd.DataFrame(rows)
    (tmp_path / "data").mkdir()
    frame.iloc[:2].to_parquet(tmp_path / "data" / "train-00000.parquet")
    frame.iloc[2:].to_parquet(tmp_path / "data" / "test-00000.parquet")
    found = load_published("safety", "Llama-1B", tmp_path)
    assert found["text"].tolist() == rows["text"]
    assert found["truth"].tolist() == ["positive", "negative", "positive"]
    assert found["llm_label"].tolist()[:2] == ["positive", "positive"] and found["llm_label"].isna()[2]
    with pytest.raises(InputError, match=r"which column holds the LLM's labels\? There are Llama-1B, gpt"):
        load_published("safety", None, tmp_path)
    with pytest.raises(InputError, match="no column 'Phi'"):
        load_published("safety", "Phi", tmp_path)


def test_news_by_their_hashes(tmp_path: Path) -> None:
    news = pd.DataFrame({"title": ["A", "NA", 'Qu"ote'], "text": ["line\nline", "", "so, it is"], "subject": "x"})
    news.iloc[:1].to_csv(tmp_path / "Fake.csv", index=False)
    news.iloc[1:].to_csv(tmp_path / "True.csv", index=False)
    texts = [f"# Title: {title}\n# Content: {text}\n" for title, text in zip(news["title"], news["text"], strict=True)]
    hashed = pd.DataFrame({"text_hash": [sha256(texts[2]), "gone", sha256(texts[0]), sha256(texts[1])]})
    (tmp_path / "hub").mkdir()
    hashed.assign(label=[1, 1, -1, 1], llama=[1, 1, 1, -1]).to_csv(tmp_path / "hub" / "train.csv", index=False)
    sources = [tmp_path / "Fake.csv", tmp_path / "True.csv"]
    found = load_published("fakenews", folder=tmp_path / "hub", sources=sources)
    assert found["text"].tolist() == [texts[2], texts[0], texts[1]]
    assert found["llm_label"].tolist() == ["positive", "positive", "negative"]
    with pytest.raises(InputError, match=r"give the two files Fake\.csv and True\.csv"):
        load_published("fakenews", folder=tmp_path / "hub")
    with pytest.raises(InputError, match="no text of HikaruAsano"):
        load_published("protein", folder=_proteins(tmp_path, ["CCO"]), sources=[_smiles(tmp_path, ["CCN"])])


def _proteins(tmp_path: Path, smiles: list[str]) -> Path:
    folder = tmp_path / "proteins"
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame({"smiles_hash": [sha256(each) for each in smiles], "label": 1, "llama": -1})
    frame.to_json(folder / "train.jsonl", orient="records", lines=True)
    return folder


def _smiles(tmp_path: Path, smiles: list[str]) -> Path:
    pd.DataFrame({"smiles": smiles, "affinity": 1.0}).to_csv(tmp_path / "affinity.csv", index=False)
    return tmp_path / "affinity.csv"


def test_proteins_by_their_hashes(tmp_path: Path) -> None:
    smiles = _smiles(tmp_path, ["C=O", "N", "CCO"])
    found = load_published("protein", folder=_proteins(tmp_path, ["CCO", "C=O"]), sources=[smiles])
    assert found.to_dict("list") == {"text": ["CCO", "C=O"], "truth": ["positive"] * 2, "llm_label": ["negative"] * 2}


def test_any_table(tmp_path: Path) -> None:
    rows = {"review": ["a", "b", "c"], "stars": ["5", "1", "3"], "said": ["1", "odd", "5"]}
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    found = load_any(tmp_path / "t.csv", text="review", truth="stars", llm="said", classes={"1": "bad", "5": "good"})
    assert found["text"].tolist() == ["a", "b"]  # three stars are no class
    assert found["llm_label"].tolist()[0] == "bad" and found["llm_label"].isna()[1]
    assert load_any(tmp_path / "t.csv", text="review", truth="stars")["llm_label"].tolist() == rows["said"]
    with pytest.raises(InputError, match=r"cannot read the dataset .*; give a folder"):
        load_any(tmp_path / "nothing")


@pytest.mark.slow
def test_the_papers_configuration_end_to_end(small_llama: str, tmp_path: Path, commands: Commands) -> None:
    """On a CPU, with LoRA and a tiny model, from a folder of the published shape; done once, though run twice."""
    corpus = make_corpus(200, seed=1)
    code = {"negative": -1, "positive": 1}
    frame = pd.DataFrame({"text": corpus.texts, "label": [code[each] for each in corpus.truth]})
    frame["tiny"] = [code[each] for each in corpus.llm_labels]
    (tmp_path / "hub").mkdir()
    frame.to_csv(tmp_path / "hub" / "train.csv", index=False)
    options = ("--folder", "hub", "--classifier", "lora", "--iterations", "1", "--seeds", "0", "--out", "out.json")
    command = ["safety", "--model", small_llama, *options]
    for _ in range(2):
        done = commands(*command, cwd=tmp_path, script=PAPER)
        assert done.code == 0, done
        assert "corpus, iteration 1" in done.out and "test, refined" in done.out
    wrong = commands(*command, "--llm", "gpt", cwd=tmp_path, script=PAPER)
    assert wrong.code == 1 and "no column 'gpt'" in wrong.err and "Traceback" not in wrong.err
