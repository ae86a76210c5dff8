"""`silr align` and `silr sample` from the command line to the files that they leave."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from command_line import Commands
from synthetic import make_corpus
from tests.align.conftest import write_prompts

pytestmark = pytest.mark.slow

FAST = ("--max-new-tokens", "12", "--tracker", "none", "--device", "cpu")
STRONG = ("--learning-rate", "0.02", "--kl", "0.01")


def options(policy: str, prompts: Path, reward: Path, output: Path, *more: object) -> list[object]:
    given = ["--policy", policy, "--prompts", prompts, "--reward", reward, "--class", "positive", "-o", output]
    return ["align", *given, *FAST, *more]


def kill_when(align: Commands, path: Path, *arguments: object) -> None:
    """Run `silr`, and kill it as soon as a file is there."""
    with align.start(*arguments) as child:
        while not path.exists():
            assert child.poll() is None
            time.sleep(0.01)
        child.kill()


def test_grpo_raises_reward_and_judge(
    policy: str, prompts: Path, reward: Path, judge: Path, tmp_path: Path, align: Commands
) -> None:
    out = tmp_path / "out"
    more = ("--judge", judge, "--steps", 12, "--tracker", "tensorboard", "--json", *STRONG)
    done = align(*options(policy, prompts, reward, out, *more))
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result == json.loads((out / "result.json").read_text())
    assert result["after"]["reward"] > result["before"]["reward"] + 0.04
    assert result["after"]["judge"] > result["before"]["judge"] + 0.04
    assert result["kl"]["completion"] > 0 and result["prompts"] == {"train": 32, "test": 8, "held_out": True}
    samples = pd.read_csv(out / "samples.csv")
    assert list(samples)[:3] == ["prompt", "before", "after"] and len(samples) == 8
    assert samples["reward_after"].mean() == pytest.approx(result["after"]["reward"], abs=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(out / "policy")
    aligned = AutoModelForCausalLM.from_pretrained(out / "policy")
    start = AutoModelForCausalLM.from_pretrained(policy)
    ids = tokenizer("word0 word1", return_tensors="pt")["input_ids"]
    assert not np.allclose(aligned(ids).logits.detach(), start(ids).logits.detach(), atol=1e-3)
    assert list((out / "tensorboard").iterdir()) and not (out / "checkpoints").exists()
    log = json.loads((out / "history.json").read_text())["log"]
    assert [each["step"] for each in log if "loss" in each] == list(range(1, 13))
    assert all(0 <= each["judge"] <= 1 and each["kl"] >= 0 for each in log if "loss" in each)
    page = (out / "report.html").read_text()
    assert "<svg" in page and "word" in page and "http" not in page.replace("http-equiv", "")


def test_dpo(policy: str, prompts: Path, reward: Path, judge: Path, tmp_path: Path, align: Commands) -> None:
    """Pairs are the best and the worst of the candidates, and TRL is given the tokens that were sampled."""
    out = tmp_path / "out"
    more = ("--method", "dpo", "--judge", judge, "--batch-size", 4, "--generations", 6, "--steps", 16, "--json")
    done = align(*options(policy, prompts, reward, out, *more, "--learning-rate", "0.02"))
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["after"]["reward"] > result["before"]["reward"] + 0.04
    assert result["after"]["judge"] > result["before"]["judge"]
    candidates = [each for path in (out / "candidates").iterdir() for each in json.loads(path.read_text())]
    assert len(candidates) == 32 and all(len(written) == 6 == len(rewards) for written, rewards in candidates)
    assert max(np.ptp(rewards) for _, rewards in candidates) > 0.2


def test_best_of_n_takes_the_best(
    policy: str, prompts: Path, reward: Path, judge: Path, tmp_path: Path, align: Commands
) -> None:
    out = tmp_path / "out"
    more = ("--method", "best-of-n", "--generations", 4, "--judge", judge, "--json")
    done = align(*options(policy, prompts, reward, out, *more))
    assert done.code == 0, done.err
    result = json.loads(done.out)
    samples = pd.read_csv(out / "samples.csv")
    assert len(samples) == 40 and (samples["reward_after"] >= samples["reward_before"]).all()
    assert result["after"]["judge"] > result["before"]["judge"] + 0.1
    assert result["kl"]["completion"] == pytest.approx(np.log(4) - 3 / 4) and result["policy"] is None
    best = [
        max(zip(rewards, written, strict=True))[1][0]
        for path in sorted((out / "candidates").iterdir())
        for written, rewards in json.loads(path.read_text())
    ]
    assert sorted(best) == sorted(samples["after"])  # the parts hold prompts by length


def test_all_weights_of_a_policy_with_a_chat_template(
    chat_policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands
) -> None:
    out = tmp_path / "out"
    more = ("--tuning", "full", "--steps", 2, "--learning-rate", "0.003")
    done = align(*options(chat_policy, prompts, reward, out, *more))
    assert done.code == 0, done.err
    assert "as the user's message in its chat template" in done.out
    assert r"'{prompt}\n\n{completion}'" in done.out
    assert not (out / "policy" / "adapter").exists()
    assert json.loads((out / "result.json").read_text())["kl"]["completion"] != 0


def test_adapters_on_four_bits(policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    pytest.importorskip("bitsandbytes")
    out = tmp_path / "out"
    done = align(*options(policy, prompts, reward, out, "--tuning", "qlora", "--steps", 2))
    assert done.code == 0, done.err
    assert (out / "policy" / "adapter" / "adapter_model.safetensors").exists()


def test_killed_and_resumed_is_as_undisturbed(
    policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands
) -> None:
    """More than one pass, killed with SIGKILL in the middle of training."""
    some = write_prompts(tmp_path / "some.csv", 12)  # three updates a pass
    more: tuple[object, ...] = ("--steps", 6, "--save-steps", 2, *STRONG)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert align(*options(policy, some, reward, whole, *more)).code == 0
    fourth = killed / "checkpoints" / "checkpoint-4" / "trainer_state.json"
    kill_when(align, fourth, *options(policy, some, reward, killed, *more))
    assert not (killed / "policy").exists()
    done = align(*options(policy, some, reward, killed, *more))
    assert done.code == 0, done.err
    for name in ("policy/model.safetensors", "policy/adapter/adapter_model.safetensors", "samples.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert not [path for path in killed.iterdir() if path.name.startswith(".") and path.name != ".lock"]


def test_other_settings_are_refused(policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands) -> None:
    more = ("--method", "best-of-n", "--generations", 2)
    assert align(*options(policy, prompts, reward, tmp_path / "out", *more)).code == 0
    before = (tmp_path / "out" / "samples.csv").read_bytes()
    done = align(*options(policy, prompts, reward, tmp_path / "out", *more, "--seed", 1))
    assert done.code == 2 and "other input or settings (seed)" in done.err
    assert (tmp_path / "out" / "samples.csv").read_bytes() == before
    (tmp_path / "out" / "before.json").unlink()  # killed while it sampled: the candidates are of seed 0
    done = align(*options(policy, prompts, reward, tmp_path / "out", *more, "--seed", 1))
    assert done.code == 2 and "other input or settings (seed)" in done.err


def test_a_reward_that_the_judge_does_not_share_is_said_aloud(
    policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands
) -> None:
    """The judge likes what the reward dislikes: the policy learns, and the user is told what."""
    corpus = make_corpus(400, seed=3)
    other = np.where(corpus.truth == "positive", "negative", "positive")
    table = tmp_path / "opposite.csv"
    corpus.table().drop(columns=["gold", "gold_weight"]).assign(llm_label=other).to_csv(table, index=False)
    as_they_are = ("--method", "uu", "--iterations", 1, "--theta", "1,0;0,1")
    done = align("refine", table, "-o", tmp_path / "judge", *as_they_are)
    assert done.code == 0, done.err
    more = ("--judge", tmp_path / "judge", "--steps", 12, *STRONG)
    done = align(*options(policy, prompts, reward, tmp_path / "out", *more))
    assert done.code == 0, done.err
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["after"]["reward"] > result["before"]["reward"] + 0.04
    assert result["after"]["judge"] < result["before"]["judge"] - 0.04
    assert "silr: warning: The reward rose while the judge fell" in done.err
    assert "The reward rose while the judge fell" in (tmp_path / "out" / "report.html").read_text()


def test_a_killed_sampling_goes_on(chat_policy: str, prompts: Path, tmp_path: Path, align: Commands) -> None:
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    given = ["--policy", chat_policy, "--prompts", prompts, "-n", 64, "--max-new-tokens", 12, "-o"]
    assert align("sample", *given, whole).code == 0
    parts = tmp_path / "killed.csv.partial" / "completions"
    kill_when(align, parts / "000003.json", "sample", *given, killed)
    assert not killed.exists()
    first = (parts / "000000.json").stat().st_mtime_ns
    done = align("sample", *given, killed, "--seed", 1)
    assert done.code == 2 and "unfinished sampling with other settings (seed)" in done.err
    assert (parts / "000000.json").stat().st_mtime_ns == first
    assert align("sample", *given, killed).code == 0
    assert killed.read_bytes() == whole.read_bytes() and not parts.parent.exists()


def test_from_scratch_with_a_real_model(gguf: Path, tmp_path: Path, align: Commands) -> None:
    """It answers, labels its own answers, and is led by the repaired labels to what a person wanted."""
    openings = {
        "cooking": ["The soup", "This cake", "Her pasta sauce", "Grilled fish", "The roasted chicken", "A salad"],
        "computers": ["The software", "This laptop", "Her Python code", "The server", "A new keyboard", "The website"],
    }
    topic = {
        f"{begin}{end}": name for name, all_ in openings.items() for begin in all_ for end in (" is", " has", " with")
    }
    asked = tmp_path / "prompts.csv"
    pd.DataFrame({"prompt": list(topic)}).to_csv(asked, index=False)
    answers, labelled = tmp_path / "answers.csv", tmp_path / "labelled.csv"
    how = ("--max-new-tokens", 8, "--no-chat")
    done = align("sample", "--policy", gguf, "--prompts", asked, "-o", answers, "-n", 3, *how)
    assert done.code == 0, done.err
    frame = pd.read_csv(answers, keep_default_na=False)
    assert len(frame) == 108 and (frame["text"] == frame["prompt"] + frame["completion"]).all()
    question = ("--question", "What is this text about?", "--classes", "cooking", "computers")
    done = align("annotate", answers, "-o", labelled, "--model", gguf, *question)
    assert done.code == 0, done.err
    frame = pd.read_csv(labelled, keep_default_na=False)
    true = frame["prompt"].map(topic)
    assert 0.5 < (frame["llm_label"] == true).mean() < 0.95
    frame["gold"] = np.where(np.random.default_rng(0).random(108) < 0.4, true, "")
    frame.to_csv(labelled, index=False)
    run, out = tmp_path / "run", tmp_path / "out"
    assert align("refine", labelled, "-o", run, "--features", "tfidf").code == 0
    assert (pd.read_csv(run / "labels.csv")["refined_label"] == true).mean() > 0.95
    begin = tmp_path / "begin.csv"
    pd.DataFrame({"prompt": ["My new", "We bought the", "I like the", "They sell a"]}).to_csv(begin, index=False)
    given = ["--policy", gguf, "--prompts", begin, "--reward", run, "--class", "computers", "-o", out]
    done = align("align", *given, *how, "--method", "best-of-n", "-n", 8)
    assert done.code == 0, done.err
    assert "as in the reward's own table" in done.out
    samples = pd.read_csv(out / "samples.csv")
    assert (samples["reward_after"] >= samples["reward_before"]).all()
    assert samples["reward_after"].mean() > samples["reward_before"].mean() + 0.02
