"""Pieces made by a Ray cluster of two machines, both on this one, that only its loopback address reaches."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import silr
from command_line import Commands
from pieces import in_pieces, joined
from silr.errors import InputError
from silr.features.in_parts import write_features
from silr.features.on_workers import features_by_workers
from silr.features.tfidf import TfidfFeatures
from silr.io.corpus import open_table, text_column
from silr.io.engines import make_pieces
from silr.io.factories import Factory
from silr.io.pieces import open_pieces
from silr.io.ray_workers import LOG, _room
from silr.refine.table import refine_table
from synthetic import make_corpus

UPPER = "silr.ray_worker_parts:Upper"
LOOPBACK = "127.0.0.2"  # Ray takes 127.0.0.1 for the address that other machines see


@pytest.fixture(scope="module")
def with_test_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with silr as it is, and a worker more; of others silr makes none."""
    package = tmp_path_factory.mktemp("path") / "silr"
    package.mkdir()
    for part in (*Path(silr.__file__).parent.iterdir(), Path(__file__).with_name("ray_worker_parts.py")):
        (package / part.name).symlink_to(part)
    return package.parent


@pytest.fixture(scope="module")
def cluster(with_test_worker: Path) -> Iterator[None]:
    """A head node and a second one, with a core each."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        paths = [str(with_test_worker), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))  # an empty one is the current folder
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "node_ip_address": LOOPBACK, "object_store_memory": 80 * 2**20}
        head = {**node, "include_dashboard": False, "_system_config": {"prestart_worker_first_driver": False}}
        at_end = signal.getsignal(signal.SIGTERM)  # Ray's own would outlive the cluster, also in forks of this process
        nodes = Cluster(initialize_head=True, head_node_args=head)
        nodes.add_node(**node)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield
        nodes.shutdown()
        signal.signal(signal.SIGTERM, at_end)


@pytest.mark.slow
def test_a_killed_worker_costs_its_piece_alone(
    cluster: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    texts = [f"text {row}" for row in range(40)]
    source = open_pieces(in_pieces(pd.DataFrame({"text": texts}), tmp_path / "texts", [10, 20, 30]))
    out, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    make: Factory[Any] = Factory(UPPER, {"killed_in": "part-1.parquet", "marks": str(marks)})
    said: list[str] = []
    make_pieces(source, out, {}, make, "Writing", engine="ray", say=said.append)
    assert joined(out)["upper"].tolist() == [text.upper() for text in texts]
    attempts = {name: [*marks.glob(f"{name}.*")] for name in (f"part-{number}.parquet" for number in range(4))}
    assert all(path.read_text() == "x" for paths in attempts.values() for path in paths)
    assert sorted(map(len, attempts.values())) == [1, 1, 1, 2] and len(attempts["part-1.parquet"]) == 2
    assert len({path.suffix for paths in attempts.values() for path in paths}) > 1  # processes
    assert said.count("a line") == 1 and capfd.readouterr() == ("", "")
    assert not (out / LOG).exists() and not list(out.glob(".*.tmp"))
    refused: Factory[Any] = Factory(UPPER, {**make.settings, "refused": "part-3.parquet"})
    with pytest.raises(InputError, match=r"part-3\.parquet cannot be used \(on "):
        make_pieces(source, tmp_path / "other", {}, refused, "Writing", engine="ray")


@pytest.mark.slow
def test_predictions_are_those_of_one_machine(cluster: None, tmp_path: Path, commands: Commands) -> None:
    corpus = make_corpus(300, n_gold=40, seed=3)
    refine_table(corpus.write(tmp_path), tmp_path / "run", features="tfidf")
    in_pieces(corpus.table(), tmp_path / "texts", [100, 220])
    (tmp_path / "socket.py").write_text("raise SystemExit('a file of the user')")
    arguments = ("predict", "run", "texts", "--quiet", "-o")
    assert commands(*arguments, "here", cwd=tmp_path).code == 0
    done = commands(*arguments, "there", "--engine", "ray", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
    pd.testing.assert_frame_equal(joined(tmp_path / "there"), joined(tmp_path / "here"))


@pytest.mark.slow
def test_features_are_those_of_one_machine(
    cluster: None, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pieces(make_corpus(120, n_gold=30, seed=3).table(), tmp_path / "texts", [50, 50])
    arguments = ("refine", "texts", "--features", "tfidf", "--quiet", "-o")
    assert commands(*arguments, "here", cwd=tmp_path).code == 0
    done = commands(*arguments, "there", "--engine", "ray", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
    features = [np.load(tmp_path / run / "features" / "features.npy") for run in ("there", "here")]
    np.testing.assert_allclose(*features, atol=1e-5)
    labels = [joined(tmp_path / run / "labels") for run in ("there", "here")]
    pd.testing.assert_frame_equal(*labels, check_exact=False, atol=1e-4)
    assert not (tmp_path / "there" / "features" / "pieces").exists()
    path = tmp_path / "again" / "features.npy"
    table: Any = text_column(open_table(tmp_path / "texts"), "text", tmp_path / "texts")
    by_workers = partial(features_by_workers, make_pieces=partial(make_pieces, engine="ray"))
    monkeypatch.delattr(TfidfFeatures, "transform")  # of this process, which has no use for it
    write_features(TfidfFeatures(), table, path, by_workers)
    np.testing.assert_array_equal(np.load(path), features[0])


@pytest.mark.slow
def test_annotations_are_those_of_one_machine(
    cluster: None, tmp_path: Path, commands: Commands, tiny_llama: str
) -> None:
    texts = [f"text number {row} of {row % 7}" for row in range(60)]
    in_pieces(pd.DataFrame({"text": texts}), tmp_path / "texts", [25, 40])
    arguments = ("annotate", "texts", "--model", tiny_llama, "--classes", "no,yes", "--quiet", "-o")
    assert commands(*arguments, "here", cwd=tmp_path).code == 0
    done = commands(*arguments, "there", "--engine", "ray", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
    here, there = joined(tmp_path / "here"), joined(tmp_path / "there")
    assert there["llm_label"].tolist() == here["llm_label"].tolist()
    pd.testing.assert_frame_equal(there, here, check_exact=False, atol=1e-3)
    features = [np.load(tmp_path / f"{name}.features.npy") for name in ("here", "there")]
    np.testing.assert_allclose(*features, atol=0.01)
    again = commands(*arguments, "there", "--json", cwd=tmp_path)
    assert json.loads(again.out)["resumed"] == 3


def test_what_ray_cannot_do_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_pieces(in_pieces(pd.DataFrame({"text": ["a", "b"]}), tmp_path / "texts", [1]))
    make: Factory[Any] = Factory(UPPER, {})
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.2:9")
    with pytest.raises(InputError, match=r"no Ray cluster answers at 127\.0\.0\.2:9 \(Connection refused\): start its"):
        make_pieces(source, tmp_path / "out", {}, make, "Writing", engine="ray")
    monkeypatch.setattr("silr.io.ray_workers.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine ray needs ray: pip install 'silr\[ray\]'"):
        make_pieces(source, tmp_path / "out", {}, make, "Writing", engine="ray")
    with pytest.raises(InputError, match="the engine is one of local and ray, not 'spark'"):
        make_pieces(source, tmp_path / "out", {}, make, "Writing", engine="spark")


def test_workers_fill_the_cluster() -> None:
    nodes = [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 6.0}, {"memory": 1e9}]
    assert _room(nodes, has_model=True) == (2, {"num_gpus": 1})
    assert _room(nodes, has_model=False) == (22, {"num_cpus": 1})
    assert _room(nodes[1:], has_model=True) == (1, {"num_cpus": 4})
    assert _room([{"CPU": 2.0}, {"CPU": 2.0}], has_model=True) == (2, {"num_cpus": 2})
