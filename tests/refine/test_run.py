"""The run directory: what is on record, who may go on with it, and what is left when things break."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import silr
from command_line import Commands, Process, shared
from silr import LabelRefiner
from silr.errors import InputError
from silr.refine.run import Run
from synthetic import Corpus

QUICK = {"method": "uu", "epochs": 10, "iterations": 2}


def refine(corpus: Corpus, run: Path, X: Any = None, gold: Any = None, **parameters: Any) -> LabelRefiner:
    refiner = LabelRefiner.from_options(run=run, **{**QUICK, **parameters})
    gold = corpus.gold if gold is None else gold
    return refiner.fit(corpus.features if X is None else X, corpus.llm_labels, gold, gold_weight=corpus.gold_weight)


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Inode, time and content of every file."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for name, path in files.items()}


@pytest.fixture(scope="module")
def finished(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two iterations; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    refine(corpus, folder, corpus.texts)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


# --- what is on record ------------------------------------------------------------------------------------------------


def test_manifest(finished: Path) -> None:
    manifest = json.loads((finished / "run.json").read_text())
    assert manifest["silr"] == silr.__version__
    identity = manifest["identity"]
    assert identity["classes"] == ["negative", "positive"]
    configuration = identity["configuration"]
    assert (configuration["seed"], configuration["epochs"], configuration["loss"]) == (0, 10, "sigmoid")
    assert configuration["correction"] == "none"  # resolved: what the method takes
    assert len(identity["input"]) == 64 and identity["features"]["kind"] == "tfidf"
    assert (manifest["texts"], manifest["gold"]) == (1200, 60)
    assert {"python", "torch", "numpy", "scikit-learn"} <= manifest["packages"].keys()
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["hardware"]["cores"] == os.cpu_count() and manifest["hardware"]["torch_threads"] >= 1


def test_files_are_json_safetensors_and_npy(finished: Path) -> None:
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert files == {
        ".lock",
        "run.json",
        "gold.safetensors",
        "features/features.npy",
        "features/features.texts.safetensors",
        "features/tfidf.json",
        "features/tfidf.safetensors",
        "iteration-0/iteration.json",
        "iteration-0/labels.safetensors",
        *(
            f"iteration-{number}/{name}"
            for number in (1, 2)
            for name in ("iteration.json", "labels.safetensors", "classifier.json", "classifier.safetensors")
        ),
    }
    assert np.load(finished / "features/features.npy", allow_pickle=False).shape[0] == 1200


def test_iterations_come_back_as_they_were(corpus: Corpus, tmp_path: Path) -> None:
    kept = refine(corpus, tmp_path / "run")
    plain = refine(corpus, None)
    loaded = LabelRefiner.load(tmp_path / "run")
    for one in (plain, loaded):
        np.testing.assert_array_equal(one.labels_, kept.labels_)
        np.testing.assert_array_equal(one.scores_, kept.scores_)
        np.testing.assert_array_equal(one.out_of_fold_labels_, kept.out_of_fold_labels_)
        np.testing.assert_array_equal(one.out_of_fold_scores_, kept.out_of_fold_scores_)
        np.testing.assert_array_equal(one.predict_proba(corpus.features), kept.predict_proba(corpus.features))
        assert one.best_iteration_ == kept.best_iteration_ == 2
        for a, b in zip(one.history_, kept.history_, strict=True):
            np.testing.assert_array_equal(a["labels"], b["labels"])
            assert a["metrics"] == b["metrics"] and a["priors"].to_dict() == b["priors"].to_dict()


# --- going on ---------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_not_done_again(corpus: Corpus, run: Path) -> None:
    before = snapshot(run)
    again = refine(corpus, run, corpus.texts)
    assert snapshot(run) == before
    np.testing.assert_array_equal(again.out_of_fold_labels_, LabelRefiner.load(run).out_of_fold_labels_)


def test_more_iterations_end_like_a_direct_run(corpus: Corpus, tmp_path: Path) -> None:
    refine(corpus, tmp_path / "run", iterations=2)
    before = snapshot(tmp_path / "run")
    extended = refine(corpus, tmp_path / "run", iterations=5)
    after = snapshot(tmp_path / "run")
    assert {name: after[name] for name in before} == before
    direct = refine(corpus, tmp_path / "direct", iterations=5)
    for number in range(6):
        name = f"iteration-{number}/labels.safetensors"
        assert after[name][2] == (tmp_path / "direct" / name).read_bytes()
    np.testing.assert_array_equal(extended.out_of_fold_scores_, direct.out_of_fold_scores_)
    with pytest.raises(InputError, match="has 5 iterations already; ask for as many or more"):
        refine(corpus, tmp_path / "run", iterations=2)


@pytest.mark.parametrize("left", [[], ["run.json"], ["run.json", "features"], ["run.json", "iteration-0"]])
def test_what_a_killed_run_can_leave_is_gone_on_with(
    corpus: Corpus, finished: Path, run: Path, left: list[str]
) -> None:
    for path in run.iterdir():
        if path.name not in [*left, ".lock"]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (run / ".run.json.abc.tmp").write_text("{")
    (run / ".iteration-1.tmp").mkdir(exist_ok=True)
    (run / ".iteration-1.tmp" / "labels.safetensors").write_text("half")
    if "features" in left:
        (run / "features" / ".features.npy.abc.tmp").write_text("half")
        (run / "features" / "features.npy").unlink()
    if not left:
        shutil.rmtree(run / ".iteration-1.tmp")  # comes after the manifest
    refine(corpus, run, corpus.texts)
    assert not list(run.rglob("*.tmp"))
    for number in range(3):
        name = f"iteration-{number}/labels.safetensors"
        assert (run / name).read_bytes() == (finished / name).read_bytes()


def test_a_run_without_iterations_takes_other_input(corpus: Corpus, corpus3: Corpus, tmp_path: Path) -> None:
    """Such as one that was refused: the next try needs no new folder, and gets no features of the first."""
    noise = np.random.default_rng(0).permutation(corpus.llm_labels)
    gold = corpus.truth.astype(object)
    gold[200:] = None
    with pytest.raises(InputError, match="cannot be told apart"):
        LabelRefiner.from_options(run=tmp_path / "run", **QUICK).fit(corpus.texts, noise, gold)
    assert (tmp_path / "run" / "features" / "features.npy").exists()
    refiner = refine(corpus3, tmp_path / "run", corpus3.texts)
    np.testing.assert_array_equal(refiner.out_of_fold_scores_, refine(corpus3, None, corpus3.texts).out_of_fold_scores_)
    assert Run(tmp_path / "run").manifest["identity"]["classes"] == ["bad", "fair", "good"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"random_state": 1}, r"\(configuration\.seed\)"),
        ({"loss": "logistic", "epochs": 11}, r"\(configuration\.epochs, configuration\.loss\)"),
        ({"method": "paper"}, r"\(configuration\.correction, configuration\.method\)"),
        ({"X": ["another", "text"] * 600}, r"\(input\)"),
        ({"X": np.ones((1200, 2))}, r"\(input, features\.kind, features\.units, features\.dimensions\)"),
        ({"gold": np.array(["negative", "positive", *[None] * 1180, *["positive"] * 18], dtype=object)}, r"\(input\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:only 20 gold labels")
def test_other_input_or_settings_are_refused_by_name(
    corpus: Corpus, run: Path, changes: dict[str, Any], named: str
) -> None:
    before = snapshot(run)
    changes = {"X": corpus.texts, **changes}
    with pytest.raises(InputError, match=f"is a run made with other input or settings {named}; give another"):
        refine(corpus, run, **changes)
    assert snapshot(run) == before


def test_a_moved_feature_file_is_no_other_input(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "X.npy", corpus.features)
    first = refine(corpus, tmp_path / "run", corpus.texts, features=str(tmp_path / "X.npy"))
    (tmp_path / "moved").mkdir()
    (tmp_path / "X.npy").rename(tmp_path / "moved" / "X.npy")
    monkeypatch.chdir(tmp_path / "moved")
    again = refine(corpus, tmp_path / "run", corpus.texts, features="X.npy")
    np.testing.assert_array_equal(first.out_of_fold_labels_, again.out_of_fold_labels_)


# --- folders that are no runs -----------------------------------------------------------------------------------------


def test_a_folder_of_something_else(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not a run; give a new folder"):
        refine(corpus, tmp_path)
    with pytest.raises(InputError, match=r"is not a run: it has no run\.json; `silr refine` makes one"):
        LabelRefiner.load(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    with pytest.raises(InputError, match=r"if `silr export` wrote it, `silr.load` reads it"):
        LabelRefiner.load(tmp_path)
    (tmp_path / "README.md").unlink()
    with pytest.raises(InputError, match=r"cannot make the run .*: Not a directory"):
        refine(corpus, tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"cannot make the run .*: Not a directory"):
        refine(corpus, tmp_path / "a.txt" / "run")
    assert list(snapshot(tmp_path)) == ["a.txt"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": 1}', "\udcff", '{"format": 99, "silr": "9.0"}'])
def test_a_manifest_of_something_else(corpus: Corpus, tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    before = snapshot(tmp_path)
    message = r"another version of silr \(9\.0\)" if "99" in content else r"run\.json is not the record of a run"
    for use in (lambda: refine(corpus, tmp_path), lambda: LabelRefiner.load(tmp_path)):
        with pytest.raises(InputError, match=message) as error:
            use()
        assert "\n" not in str(error.value)
    assert snapshot(tmp_path) == before


def test_an_empty_folder_will_do(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    refine(corpus, tmp_path / "run")
    assert (tmp_path / "run" / "iteration-2").is_dir()


def test_a_run_that_finished_no_iteration_predicts_nothing(run: Path) -> None:
    for number in (1, 2):
        shutil.rmtree(run / f"iteration-{number}")
    with pytest.raises(
        InputError, match="has no finished iteration: run `silr refine` again, which goes on or says why it cannot"
    ):
        LabelRefiner.load(run)


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("iteration.json", b"{"),
        ("iteration.json", b'{"priors": {}, "metrics": {}}'),
        ("labels.safetensors", b"no tensors"),
        ("labels.safetensors", None),
    ],
)
def test_a_damaged_iteration_is_named_and_can_be_made_again(
    corpus: Corpus, finished: Path, run: Path, name: str, content: bytes | None
) -> None:
    path = run / "iteration-1" / name
    path.unlink() if content is None else path.write_bytes(content)
    for use in (lambda: refine(corpus, run, corpus.texts), lambda: LabelRefiner.load(run)):
        with pytest.raises(
            InputError, match=r"iteration-1 is damaged: .*; delete it and all later ones, and run again"
        ):
            use()
    shutil.rmtree(run / "iteration-1")
    with pytest.raises(InputError, match=r"iteration-1 is missing; delete .*iteration-2 too and run again"):
        refine(corpus, run, corpus.texts)
    shutil.rmtree(run / "iteration-2")
    refine(corpus, run, corpus.texts)
    for number in range(3):
        labels = f"iteration-{number}/labels.safetensors"
        assert (run / labels).read_bytes() == (finished / labels).read_bytes()


@pytest.mark.parametrize("name", ["classifier.json", "classifier.safetensors"])
def test_a_damaged_classifier(run: Path, name: str) -> None:
    (run / "iteration-2" / name).write_bytes(b"no")
    with pytest.raises(InputError, match=r"cannot read the classifier in .*iteration-2") as error:
        LabelRefiner.load(run)
    assert "\n" not in str(error.value)


# --- other processes, full disks --------------------------------------------------------------------------------------

HOLD = """if True:
    import sys, time
    from pathlib import Path
    from silr.errors import InputError
    from silr.refine.run import Run
    try:
        with Run.start(sys.argv[1], {"classes": [sys.argv[2]]}, {}):
            print("mine", flush=True)
            while Path("held").exists():
                time.sleep(0.01)
    except InputError as error:
        print(error, flush=True)
"""


def hold(folder: Path, identity: str) -> Process:
    """A process that holds the run as long as there is a file ``held`` beside it."""
    (folder.parent / "held").touch()
    script = folder.parent / "hold.py"
    script.write_text(HOLD)
    return shared().start(folder, identity, script=script, cwd=folder.parent)


@pytest.mark.slow
def test_two_processes_at_once(tmp_path: Path) -> None:
    """Also before the first iteration is there, whatever the second one's input is; a killed one blocks nobody."""
    run = tmp_path / "run"
    with hold(run, "a") as first:
        assert first.stdout.readline() == "mine\n"
        before = snapshot(run)
        with hold(run, "b") as second:
            assert second.communicate()[0] == f"another process is working on the run {run}\n"
        assert snapshot(run) == before
        first.kill()
    with hold(run, "b") as third:
        (tmp_path / "held").unlink()
        assert third.communicate()[0] == "mine\n"
    assert Run(run).manifest["identity"] == {"classes": ["b"]}


@pytest.mark.slow
def test_many_processes_at_the_same_moment(tmp_path: Path) -> None:
    processes = [hold(tmp_path / "run", str(number)) for number in range(3)]
    answers = [process.stdout.readline() for process in processes]
    (tmp_path / "held").unlink()
    for process in processes:
        process.communicate()
    assert sorted(answer == "mine\n" for answer in answers) == [False, False, True]
    (winner,) = (number for number, answer in enumerate(answers) if answer == "mine\n")
    assert Run(tmp_path / "run").manifest["identity"] == {"classes": [str(winner)]}


FULL = """if True:
    import resource, sys
    import numpy as np
    from silr import LabelRefiner
    from silr.errors import InputError
    given = np.load(sys.argv[2])
    X, y, gold = given["X"], given["y"], [label or None for label in given["gold"].tolist()]
    def fill(iteration):
        if iteration.number == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
    try:
        refiner = LabelRefiner.from_options(run=sys.argv[1], iterations=3, method="uu", epochs=10, device="cpu")
        refiner.fit(X, y, gold, on_iteration=fill)
    except InputError as error:
        print(error)
"""


@pytest.mark.slow
def test_full_disk_keeps_what_is_finished(corpus: Corpus, tmp_path: Path, commands: Commands) -> None:
    given = corpus.features, corpus.llm_labels, corpus.gold
    gold = ["" if label is None else label for label in corpus.gold]
    np.savez(tmp_path / "given.npz", X=corpus.features, y=corpus.llm_labels, gold=gold)
    (tmp_path / "full.py").write_text(FULL)
    done = commands(tmp_path / "run", tmp_path / "given.npz", script=tmp_path / "full.py")
    assert done.code == 0 and done.out.startswith("cannot write ") and done.out.count("\n") == 1
    assert "File too large" in done.out and done.err == ""
    before = {name: kept for name, kept in snapshot(tmp_path / "run").items() if name.startswith("iteration-")}
    assert {name.split("/")[0] for name in before} == {"iteration-0", "iteration-1"}
    resumed = LabelRefiner.from_options(run=tmp_path / "run", iterations=3, method="uu", epochs=10, device="cpu").fit(
        *given
    )
    assert {name: kept for name, kept in snapshot(tmp_path / "run").items() if name in before} == before
    direct = LabelRefiner.from_options(iterations=3, method="uu", epochs=10, device="cpu").fit(*given)
    np.testing.assert_array_equal(resumed.out_of_fold_scores_, direct.out_of_fold_scores_)
