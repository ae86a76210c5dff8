"""Pieces annotated by vLLM: what it is asked and what is made of its answers, and vLLM itself where it is installed.

Elsewhere a network of transformers answers in its place, token by token.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pieces import in_pieces, joined
from silr.annotators import LocalAnnotator, vllm_pieces
from silr.annotators.pieces import CUT, annotate_pieces
from silr.annotators.vllm import VllmAnnotator
from silr.annotators.vllm_pieces import Questions, annotate_by_vllm
from silr.errors import InputError
from silr.io.engines import make_pieces
from silr.io.factories import Factory, plain
from silr.io.pieces import open_pieces

SETTINGS = {"text": "text", "features": False, "name": ""}
TEXTS = ["good", "bad", "", "good", "so " * 90, "[SEP] ends", "  ", "", "Ünï", "bad"]
CASES: list[dict[str, Any]] = [
    {"classes": ["no", "yes"]},
    {"classes": ["science", "science fiction", "art"], "question": "Which subject?"},
    {"classes": ["no", "yes, unbelievably"], "calibrate": "contextual", "opening": ""},
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Pieces of 4, 2, 2 (without text), 0 and 2 rows."""
    return in_pieces(pd.DataFrame({"id": range(10), "text": TEXTS}), tmp_path / "texts", [4, 6, 8, 8])


@pytest.fixture(scope="module")
def short_causal(make_small_causal: Callable[..., str]) -> str:
    """The small language model with a context of 96 tokens."""
    return make_small_causal(max_position_embeddings=96)


def stand_in(folder: str) -> Callable[..., Iterator[dict[str, Any]]]:
    """What answers questions in the place of vLLM and Ray, the last question first and one of them twice."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")

    def answered(ray: Any, annotator: VllmAnnotator, arguments: Any, count: int, room: Any) -> Iterator[dict[str, Any]]:
        about, column, paths = arguments
        assert json.loads(about)["dtype"] == "float32" and (count, room) == (1, {"num_cpus": 1})
        asked = Questions(about, column, paths)({"number": np.arange(len(paths))})
        rows = [row for table in asked for row in table.to_pylist()]
        for row in [*reversed(rows), rows[0]]:
            given = vllm_pieces.ask(row)
            ids, sampling = given["tokenized_prompt"], given["sampling_params"]
            assert len(ids) < annotator.context and sampling["max_tokens"] == 1
            with torch.inference_mode():
                log_p = network(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            said = {token: {"logprob": float(log_p[token])} for token in sampling["logprob_token_ids"]}
            yield vllm_pieces.answer({**row, "logprobs": [said]})

    return answered


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_local_annotator(
    case: dict[str, Any], short_causal: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_pieces, "_answered", stand_in(short_causal))
    options = {"dtype": "float32", **case}
    local = LocalAnnotator(short_causal, device="cpu", **options)
    annotate_pieces(texts, tmp_path / "here", lambda: local, {}, save_features=False, quiet=True)
    make = json.loads(json.dumps(Factory.of(VllmAnnotator, model=short_causal, **options), default=plain))
    worker = vllm_pieces.VllmPieces(make, str(tmp_path / "there"), SETTINGS)
    missing = [(piece, tmp_path / "there" / piece.name) for piece in open_pieces(texts).pieces]
    reports = dict(worker.reports(None, missing, 1, {"num_cpus": 1}))
    assert {number: [*report.lines] for number, report in reports.items()} == {0: [], 1: [CUT], 2: [], 3: [], 4: []}
    here, there = joined(tmp_path / "here"), joined(tmp_path / "there")
    scores = [name for name in here if name.startswith("llm_score_")]
    assert len(scores) == len(case["classes"])
    others = [name for name in here if name not in scores]
    pd.testing.assert_frame_equal(there[others].fillna(""), here[others].fillna(""), check_dtype=False)
    apart = np.abs(there[scores].astype(float) - here[scores].astype(float)).max(axis=1)
    assert apart.drop(4).max() < 2e-5 and apart[4] < 1e-3  # the text that is cut may lose one token more
    record = json.loads((tmp_path / "there/_parts/part-1.parquet/labelled.annotator.json").read_text())
    assert (record["kind"], record["engine"], record["counts"]["cut"]) == ("local", "vllm", 1)


def test_what_is_missing_is_one_line(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_pieces, "find_spec", lambda name: None if name == "vllm" else find_spec("json"))
    with pytest.raises(InputError, match=r"^--engine vllm needs vllm: pip install 'silr\[vllm\]'$"):
        annotate_by_vllm(texts, tmp_path / "out", lambda: None, {})  # type: ignore[arg-type,return-value]
    assert not (tmp_path / "out").exists()
    for name, module in (("ray", ModuleType("ray")), ("ray.data", ModuleType("ray.data")), ("ray.data.llm", None)):
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(InputError, match=r"^--engine vllm needs .*: pip install 'silr\[vllm\]'$"):
        vllm_pieces._llm_api()
    monkeypatch.setitem(sys.modules, "ray.data.llm", ModuleType("ray.data.llm"))
    with pytest.raises(InputError, match=r"^--engine vllm needs .*build_processor.*: pip install 'silr\[vllm\]'$"):
        vllm_pieces._llm_api()
    with pytest.raises(InputError, match="the engine is one of local and ray, not 'vLLM'"):
        make_pieces(open_pieces(texts), tmp_path / "out", {}, None, "Writing", engine="vLLM")  # type: ignore[arg-type]


def test_what_fails_inside_ray_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "\x1b[36m(MapWorker pid=7)\x1b[0m (EngineCore pid=8) ERROR 11-30 10:24:11 [core.py:9] Traceback (most recent\n"
        "\x1b[36m(MapWorker pid=7)\x1b[0m (EngineCore pid=8) ERROR 11-30 10:24:11 [core.py:9] ValueError: 4.3 GiB of "
        "memory are needed, 1.0 GiB is there. Try this.\n"
    )
    whole = "ray::MapWorker.__init__()\n  File x.py\nRuntimeError: Engine core initialization failed. See above.\n"
    lines = {
        whole: "the model does not fit: ValueError: 4.3 GiB of memory are needed, 1.0 GiB is there",
        "ray::MapWorker.submit()\nTypeError: Unexpected keyword\n": "vLLM: TypeError: Unexpected keyword",
    }
    for message, line in lines.items():
        with pytest.raises(RuntimeError) as raised, vllm_pieces.explained(log):
            raise OSError(message)
        assert str(raised.value) == line
    with pytest.raises(InputError, match=r"^the table is gone$"), vllm_pieces.explained(log):
        raise OSError("ray::Questions()\nsilr.errors.InputError: the table is gone")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed; CI has another torch")
def test_vllm_itself(
    make_small_causal: Callable[..., str], texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    model = make_small_causal(num_attention_heads=1)  # of width 32, the least that vLLM takes
    options = ("--model", model, "--classes", "science,science fiction", "--dtype", "float32", "--no-features")

    def annotate(output: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "silr", "annotate", str(texts), "-o", output, *options, *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert annotate("here", "--quiet").returncode == 0
    done = annotate("there", "--engine", "vllm", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    here, there = joined(tmp_path / "here"), joined(tmp_path / "there")
    scores = ["llm_score_science", "llm_score_science fiction"]
    pd.testing.assert_frame_equal(there.drop(columns=scores), here.drop(columns=scores))
    apart = np.abs(there[scores].astype(float) - here[scores].astype(float)).max(axis=1)
    assert apart.drop(4).max() < 1e-3
    assert json.loads((tmp_path / "there.annotator.json").read_text())["engine"] == "vllm"
    again = annotate("there", "--engine", "vllm", "--json")
    assert json.loads(again.stdout)["resumed"] == 5
    other = annotate("there", "--quiet")
    assert other.returncode == 2 and "was made in another way (engine" in other.stderr
