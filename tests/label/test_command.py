"""The command `silr label` as a script and a careless person use it."""

import json
import subprocess
import sys

import pytest
from labelling import Labelling, gold_of, label_commands, label_in_rounds, make_table, weights_of

from silr.io.corpus import encode_labels, label_column, read_table, weight_column
from silr.label.gold_table import GoldTable
from silr.label.journal import journal_path
from silr.label.session import Session
from silr.stats.priors import priors_from_gold

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def commands():
    return label_commands()


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv")


def export(path, *pairs):
    """Label Studio's JSON."""
    result = [{"type": "choices", "value": {"choices": ["?"]}}]
    tasks = [{"data": {"text": text}, "annotations": [{"result": json.loads(json.dumps(result))}]} for text, _ in pairs]
    for task, (_, label) in zip(tasks, pairs, strict=True):
        task["annotations"][0]["result"][0]["value"]["choices"] = [label]
    path.write_text(json.dumps(tasks))
    return path


def test_import_only(commands, path, tmp_path):
    pairs = [(f"text number {row}", ("Negative", "positive")[row % 2]) for row in range(0, 150, 3)]
    file = export(tmp_path / "export.json", *pairs, ("not there", "positive"), ("text number 1", "neutral"))
    done = commands("label", path, "--import", file, "-n", 0)
    assert done.code == 0, done.err
    assert "52 records: 50 labels read, 1 match no text of the table, 1 outside the classes ('neutral' 1)" in done.out
    assert "50 gold labels (negative 25, positive 25), 50 of them new" in done.out
    assert f"written: {path}" in done.out
    assert gold_of(path) == {row: ("negative", "positive")[row % 2] for row in range(0, 150, 3)}
    assert sum(weights_of(path)) == pytest.approx(200)
    again = commands("label", path, "--import", file, "-n", 50, "--json")
    values = json.loads(again.out)
    assert (values["gold"], values["added"], values["llm_accuracy"] is not None) == (50, 0, True)
    assert "50 had gold already" in values["imports"][0]


def test_enough_gold_is_there(commands, tmp_path):
    path = make_table(tmp_path / "t.csv", gold=["positive"] * 12 + [None] * 188)
    assert "gold_weight" not in read_table(path)
    done = commands("label", path, "-n", 12)
    assert done.code == 0 and "12 gold labels (negative 0, positive 12), 0 of them new" in done.out
    assert len(weights_of(path)) == 12  # the weights were missing
    content = path.read_bytes()
    assert commands("label", path, "-n", 12, "-q") == (0, "", "") and path.read_bytes() == content


def test_the_columns_say_what_the_command_prints(commands, path):
    """The accuracy of the LLM's labels, estimated from the table's columns alone, as refine does."""
    session = Session(GoldTable(path), 60)
    while len(session.gold) < 60:
        session.label(session.current, int(session.table.codes[session.current]) if len(session.gold) % 5 else 0)
    session.close()
    frame = read_table(path)
    llm, classes = encode_labels(label_column(frame))
    gold, _ = encode_labels(label_column(frame, "gold"), classes)
    priors = priors_from_gold(llm, gold, 2, weight_column(frame, needed=gold >= 0))
    low, high = priors.accuracy_interval
    said = f"the LLM's labels: estimated accuracy {priors.accuracy:.1%} ({low:.0%} to {high:.0%})"
    assert said in commands("label", path, "-n", 60).out.splitlines()


def test_a_table_that_was_drawn_in_rounds(commands, path):
    label_in_rounds(path)
    content = path.read_bytes()
    values = json.loads(commands("label", path, "-n", 40, "--json").out)
    assert (values["draw"], values["drawn_by_posterior"], values["only_train"]) == ("rounds", 20, 0)
    assert (values["fits"], values["failed_fits"]) == (0, 0) and 0.97 < values["llm_accuracy"] <= 1
    assert "20 of them drawn by how unsure their label was" in commands("label", path, "-n", 40).out
    refused = commands("label", path, "-n", 50, "--draw", "strata")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "were drawn in rounds: go on without --draw strata" in refused.err and path.read_bytes() == content


def test_imports_beside_drawn_texts_train_only(commands, path, tmp_path):
    label_in_rounds(path)
    pairs = [(f"text number {row}", "positive") for row in range(200)]
    done = commands("label", path, "--import", export(tmp_path / "export.json", *pairs), "-n", 0)
    assert done.code == 0, done.err
    assert "160 of them came from elsewhere: they train and do not judge (gold_weight 0)" in done.out
    weight = [float(weight) for weight in read_table(path)["gold_weight"]]
    assert sum(each == 0 for each in weight) == 160


BAD = {
    "draw": (("t.csv", "--draw", "entropy"), "--draw"),
    "no table": (("no.csv",), "no.csv does not exist"),
    "no text": (("t.csv", "--text-column", "body"), "has no column 'body'; its columns are 'id', 'text'"),
    "no label": (("t.csv", "--label-column", "answer"), "has no column 'answer'"),
    "a class less": (("t.csv", "--classes", "negative", "neutral"), "is 'positive', outside the classes"),
    "one class": (("t.csv", "--classes", "negative"), "at least two classes"),
    "twice": (("t.csv", "--classes", "negative", "positive", "negative"), "each once"),
    "kind": (("t.csv", "-o", "t.xlsx"), "unknown kind of table"),
    "folder": (("t.csv", "-o", "no/t.csv"), "the folder no does not exist"),
    "number": (("t.csv", "-n", "-1"), "-n"),
    "port": (("t.csv", "--port", "70000"), "--port"),
    "import": (("t.csv", "--import", "no.json"), "cannot read no.json: No such file"),
    "strange gold": (("gold.csv",), "'gold' is 'neutral', outside the classes 'negative', 'positive'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used(commands, path, tmp_path, case):
    make_table(tmp_path / "gold.csv", gold=["neutral"] * 200)
    arguments, said = BAD[case]
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    done = commands("label", *arguments, "--no-browser", cwd=tmp_path)
    assert done.code == 2 and done.err.count("\n") == 1 and said in done.err, done.err
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_port_in_use(commands, path, tmp_path):
    with Labelling(path) as page:
        done = commands("label", path, "--no-browser")
        assert done.code == 2 and "another silr label is at work" in done.err
        other = make_table(tmp_path / "other.csv")
        done = commands("label", other, "--no-browser", "--port", page.port)
        assert done.code == 2 and f"cannot listen on port {page.port}: Address already in use" in done.err
        assert not journal_path(other).exists()


def test_json_keeps_the_address_off_stdout(commands, path):
    with commands.start("label", path, "--no-browser", "--json") as process:
        assert process.stderr.readline().startswith("label at http://127.0.0.1:")
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert json.loads(out)["gold"] == 0 and process.returncode == 130


def test_without_the_extra(path):
    script = """if True:
        import sys
        sys.modules["starlette.applications"] = None
        sys.argv = ["silr", "label", sys.argv[1]]
        from silr.cli.main import main
        main()
    """
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'silr[label]'" in done.stderr and done.stderr.count("\n") == 1


def test_the_page_is_in_the_package():
    from importlib.resources import files

    names = {each.name for each in (files("silr.label") / "static").iterdir()}
    assert names == {"icon.svg", "index.html", "label.css", "label.js", "review.js"}


def test_several_people(commands, path, tmp_path):
    """One after the other on the page, then a third person's file, and what is said at the end."""
    rows = {}
    for person, n in (("ann", 12), ("bob", 10)):
        with Labelling(path, "--as", person, "-n", n) as page:
            rows[person] = [page.state()["row"]]
            while len(rows[person]) < n:
                rows[person].append(
                    page.act("label", label=int(len(rows[person]) % (2 if person == "ann" else 3) > 0))["row"]
                )
            page.act("label", label=1)
            assert page.get().json()["table"] == f"t.csv · {person}"
            own = page.act("finish")["result"]
            assert own["gold"] == n and sum(own["classes"].values()) == n  # nothing of others, ties or not
            code, out, _ = page.wait()
            assert code == 0 and f"{person}: {n} labels, {n} of them new" in out
    assert rows["bob"] == rows["ann"][:10]
    assert "Krippendorff's alpha: " in out and "Cohen's kappa: ann and bob " in out
    assert f"of them tied and without gold; decide them: silr label {path} --adjudicate" in out
    refused = commands("label", path)
    assert refused.code == 2 and "has the votes of ann 12, bob 10: say who labels, --as NAME" in refused.err
    export(tmp_path / "third.json", *((f"text number {row}", "positive") for row in rows["ann"]))
    done = commands("label", path, "--import", f"cy={tmp_path / 'third.json'}", "--json")
    values = json.loads(done.out)
    assert values["imports"] == ["votes of cy 12, 12 of them new"]
    assert (values["person"], values["gold"], values["agreement"]["votes"]["cy"]) == (None, 12, 12)
    assert values["agreement"]["tied"] == 0 and len(values["agreement"]["kappa"]) == 3
    assert "needs 3 persons with 30 texts each" in values["agreement"]["untested"]
    assert sum(weights_of(path)) == pytest.approx(200)
    bad = commands("label", path, "--as", "Ann")
    assert bad.code == 2 and bad.err.count("\n") == 1 and "differs from 'ann' in case only" in bad.err
