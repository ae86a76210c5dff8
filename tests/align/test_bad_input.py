"""What a user can give that is wrong: one line, exit code 2, nothing lost."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from small_policies import write_policy
from transformers import AutoModelForCausalLM

from command_line import Commands
from silr.align.policy import check_writes_text
from silr.align.trl_trainers import need_trl
from silr.errors import InputError
from tests.align.test_command import options

pytestmark = pytest.mark.slow


def refused(align: Commands, said: str, *arguments: object) -> None:
    done = align(*arguments)
    assert done.code == 2, done
    assert done.err.startswith("silr: ") and done.err.count("\n") == 1, done.err
    assert said in done.err


def test_prompts(policy: str, reward: Path, tmp_path: Path, align: Commands) -> None:
    for name, rows, said in (
        ("none", [], "has no rows"),
        ("blank", ["word1", "  "], "1 of 2 prompts are empty, the first in row 2"),
        ("twice", ["word1", "word2", "word1"], "1 of 3 prompts repeat an earlier one, the first in row 3"),
        ("long", ["word1", "word2 " * 60], "row 2 has 60 and its completion takes 12"),
    ):
        path = tmp_path / f"{name}.csv"
        pd.DataFrame({"prompt": rows}).to_csv(path, index=False)
        refused(align, said, *options(policy, path, reward, tmp_path / "out"))
    (tmp_path / "chat.jsonl").write_text(json.dumps({"prompt": [{"role": "user", "content": "x"}]}) + "\n")
    refused(align, "row 1: the prompt is a list", *options(policy, tmp_path / "chat.jsonl", reward, tmp_path / "out"))
    refused(align, "no column 'prompt'", *options(policy, tmp_path / "none.jsonl", reward, tmp_path / "out")) if (
        (tmp_path / "none.jsonl").write_text('{"text": "x"}\n')
    ) else None
    assert not (tmp_path / "out").exists()


def test_settings(policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    given = options(policy, prompts, reward, tmp_path / "out")
    without_class = [each for each in given if each not in ("--class", "positive")]
    refused(align, "--class: say which class", *without_class)
    for more, said in (
        (("--class", "great"), "--class great: the classes of --reward"),
        (("--batch-size", 20), "must be divisible by the 8 completions of a prompt"),
        (("--chat",), "the policy has no chat template"),
        (("--reward-text", "x"), "must contain {completion}"),
        (("--tracker", "nonsense"), "must be none or one of"),
        (("--tracker", "wandb"), "pip install wandb"),
        (("--judge", reward), "--judge is the reward itself"),
        (("--judge", tmp_path), "is neither a run"),
        (("--policy", tmp_path), "neither config.json"),
        (("--policy", reward), "is a run of `silr refine`: give it as --reward"),
        (("--vllm",), "needs vLLM"),
        (("--temperature", 0), "must lie above 0"),
        (("--batch-size", 512), "give more prompts or a smaller one"),
    ):
        refused(align, said, *given, *more)
        for made in ("policy", "samples.csv", "report.html"):
            assert not (tmp_path / "out" / made).exists()


@pytest.mark.parametrize(
    ("family", "kinds", "said"),
    [
        (
            "llama",
            ["LlamaForSequenceClassification"],
            "is a classifier: give it as --reward, and a language model as --policy",
        ),
        ("bert", ["BertForMaskedLM"], "is a masked language model (BertForMaskedLM), no causal language model"),
        ("bert", ["BertModel"], "is an encoder that reads words to come (BertModel), no causal language model"),
        ("gpt2", ["GPT2LMHeadModel"], None),
        (None, [], None),
    ],
)
def test_models_that_write_no_text(family: str | None, kinds: list[str], said: str | None, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family, "architectures": kinds}))
    if said is None:
        check_writes_text(tmp_path)
        return
    with pytest.raises(InputError, match=re.escape(said)):
        check_writes_text(tmp_path)
    (tmp_path / "model.skops").touch()
    with pytest.raises(InputError, match="is a classifier of `silr export`: give it as --reward"):
        check_writes_text(tmp_path)


def test_a_folder_of_something_else(policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    refused(align, "is no alignment", *options(policy, prompts, reward, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("method", ["grpo", "best-of-n"])
def test_a_constant_reward(method: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    """A policy that says nothing at all, judged by what it says."""
    silent = write_policy(tmp_path / "policy")
    network = AutoModelForCausalLM.from_pretrained(silent)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        network.model.embed_tokens.weight.fill_(1.0)
        network.lm_head.weight[1] = 100.0  # the end token
    network.save_pretrained(silent)
    more = ("--reward-text", "{completion}", "--method", method)
    refused(align, "there is nothing to", *options(silent, prompts, reward, tmp_path / "out", *more))


def test_numbers_that_are_none(policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    network = AutoModelForCausalLM.from_pretrained(policy)
    with torch.no_grad():
        network.lm_head.weight.fill_(float("nan"))
    broken = write_policy(tmp_path / "broken")
    network.save_pretrained(broken)
    refused(align, "the policy gives no probabilities", *options(broken, prompts, reward, tmp_path / "broken-out"))
    out, more = tmp_path / "out", ("--learning-rate", 1e30, "--tuning", "full", "--save-steps", 1, "--quiet")
    done = align(*options(policy, prompts, reward, out, *more))
    assert done.code == 2 and done.err.count("\n") == 1, done.err
    assert "--learning-rate" in done.err
    assert (out / "before.json").exists() and not (out / "policy").exists()


def test_a_full_disk(policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    """Files may be no larger than the policy's weights."""
    out, more = tmp_path / "out", ("--steps", 2, "--save-steps", 1, "--quiet")
    done = align(*options(policy, prompts, reward, out, *more), file_size=90_000)
    assert done.code == 2 and done.err.count("\n") == 1 and "cannot write" in done.err, done.err
    assert not (out / "policy").exists()
    assert align(*options(policy, prompts, reward, out, *more)).code == 0


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(InputError, match=r"pip install 'silr\[align\]'"):
        need_trl("none")
