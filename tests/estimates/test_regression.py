"""`silr.estimate(formula=...)`: what a formula means, what stands beside it, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from silr.cli.estimate import estimate as command
from silr.errors import InputError
from silr.estimates.coefficients import Coefficient
from silr.estimates.estimate import estimate
from silr.estimates.evidence import Evidence, read_evidence
from silr.estimates.regression import regress
from silr.estimates.show_regression import lines, print_regression

pytest.importorskip("patsy")
CLASSES = ["calm", "hostile", "not sure"]


def table(n: int = 600, gold: int = 120) -> pd.DataFrame:
    """An LLM that calls too much hostile where the party is right."""
    rng = np.random.default_rng(0)
    party = rng.choice(["left", "right"], n)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    llm = np.where(rng.random(n) < np.where(party == "right", 0.3, 0.05), 1, truth)
    names = np.array(CLASSES, dtype=object)
    frame = pd.DataFrame({"text": "words", "llm_label": names[llm], "gold": None, "party": party})
    frame["year"] = pd.Series(rng.integers(2015, 2019, n).astype(str), dtype=object)
    frame["likes"] = 1.0 + (truth == 1) + 0.5 * (truth == 2) + rng.normal(size=n)
    drawn = rng.choice(n, gold, replace=False)
    frame.loc[drawn, "gold"] = names[truth][drawn]
    frame["truth"] = names[truth]
    return frame


def evidence(frame: pd.DataFrame, **changes: Any) -> Evidence:
    return read_evidence(frame.assign(**changes))


def terms(rows: list[Coefficient]) -> list[str]:
    return [row.term for row in rows]


def test_all_texts_gold_give_the_regression_of_statsmodels_by_its_formula() -> None:
    api = pytest.importorskip("statsmodels.formula.api")
    frame = table(300, 300).assign(gold=lambda frame: frame.truth, year=lambda frame: frame.year.astype(int))
    data = frame.assign(hostile=frame.truth == "hostile", unsure=(frame.truth == "not sure").astype(int))
    data["hostile"] = data.hostile.astype(int)
    for formula, family in [
        ("hostile ~ party * year", "linear"),
        ("hostile ~ party + C(year)", "logistic"),
        ('likes ~ hostile + Q("not sure") + party', "linear"),
        ("I(likes > 1) ~ hostile:party + hostile + party", "logistic"),
    ]:
        found = estimate(frame, formula=formula, family=family).regression
        assert found is not None
        words = formula.replace('Q("not sure")', "unsure").replace("I(likes > 1)", "I((likes > 1).astype(int))")
        model = (api.ols if family == "linear" else api.logit)(words, data)
        wanted = model.fit(cov_type="HC0", **({} if family == "linear" else {"disp": 0}))
        assert [term.replace('Q("not sure")', "unsure") for term in terms(found.coefficients)] == list(
            wanted.params.index
        )
        scale = np.sqrt(300 / (300 - len(wanted.params)))
        for row, value, error in zip(found.coefficients, wanted.params, wanted.bse, strict=True):
            assert row.value == pytest.approx(value, rel=1e-6, abs=1e-6)
            assert row.error == pytest.approx(error * scale, rel=1e-6, abs=1e-6)


def test_what_stands_beside_it() -> None:
    result = estimate(table(), formula="hostile ~ party").regression
    assert result is not None and terms(result.coefficients) == ["Intercept", "party[T.right]"]
    effect, alone, naive = (rows[1] for rows in (result.coefficients, result.gold_alone, result.naive["llm_label"]))
    assert effect.low < 0 < effect.high and naive.low > 0, "the effect that the LLM sees is not there"
    assert effect.error < alone.error and effect.t == pytest.approx(effect.value / effect.error)
    assert 0.5 < result.power <= 1 and result.gold == 120 and not result.notes
    corpus = estimate(table(), formula="hostile ~ party", target="corpus").regression
    assert corpus is not None and corpus.coefficients[1].error < effect.error


def test_an_outcome_without_regressors_is_the_share() -> None:
    result = estimate(table(), formula="hostile ~ 1", target="corpus")
    share = next(row for row in result.shares if row.class_name == "hostile")
    assert result.regression is not None
    assert result.regression.coefficients[0].value == pytest.approx(share.value, abs=0.01)


def test_gold_of_unknown_probability_counts_as_it_is() -> None:
    frame = table()
    weight = pd.Series(np.where(frame.gold.notna(), 5.0, np.nan))
    weight[frame.index[frame.gold.notna()][:30]] = 0
    read = evidence(frame, gold_weight=weight)
    assert read.known.sum() == 30 and regress(read, "hostile ~ party").gold == 90


def test_a_coefficient_of_few_gold_labels_has_a_note() -> None:
    frame = table()
    rare = np.zeros(len(frame), dtype=int)
    rare[frame.index[frame.gold.notna()][:3]] = 1
    rare[frame.index[frame.gold.isna()][:50]] = 1
    result = regress(evidence(frame, rare=rare), "hostile ~ rare")
    assert result.notes == ["rare hangs on 3 gold labels: label more texts that differ in it"]


def test_missing_values_are_left_out_when_asked() -> None:
    frame = table()
    frame.loc[frame.index[::6], "year"] = ""
    result = estimate(frame, formula="hostile ~ year", drop_missing=True).regression
    assert result is not None and (result.texts, result.dropped) == (500, 100)


@pytest.mark.parametrize(
    ("formula", "options", "said"),
    [
        ("hostile ~ prty", {}, "'prty', which is neither a class (calm, hostile, Q(\"not sure\")) nor a column"),
        ("hostile ~ prty", {}, "did you mean 'party'?"),
        ("hostile ~ hole", {}, "100 of 600 texts have no value in hole: fill them in, or leave these"),
        ("hostile ~ (party", {}, "cannot be read: "),
        ("hostile ~ not sure", {}, 'did you mean Q("not sure")?'),
        ("~ party", {}, "has no outcome"),
        ("hostile ~ 0", {}, "has no regressor"),
        ("hostile ~ hostile", {}, "on both sides"),
        ("hostile ~ gold", {}, "'gold' in the formula is what is estimated; for the label itself write the name of a"),
        ("likes ~ refined_label", {}, "'refined_label' in the formula has the gold labels inside"),
        ("likes ~ dsl_hostile", {}, "'dsl_hostile' in the formula has the gold labels inside"),
        ("likes ~ vote_ann", {}, "'vote_ann' in the formula has a value on gold texts only"),
        ("hostile ~ year + twice", {}, "'twice' follows from the other regressors"),
        ("likes ~ calm + hostile + Q('not sure')", {}, "follows from the other regressors"),
        ("hostile ~ rare", {}, "the gold labels cannot tell the coefficient of 'rare'"),
        ("hostile ~ many", {}, "has 600 different words"),
        ("hostile ~ C(number)", {}, "coefficients, and 120 gold labels judge"),
        ("hostile ~ exact", {"family": "logistic"}, "no finite estimate"),
        ("likes ~ hostile", {"family": "logistic"}, "needs an outcome of 0 and 1"),
        ("party ~ hostile", {}, "must be one number a text"),
        ("log(zero) ~ hostile", {}, "no finite number"),
        ("hostile ~ nothing(year)", {}, "NameError: name 'nothing' is not defined"),
        ("hostile ~ party", {"family": "probit"}, "family must be linear or logistic"),
        ("hostile ~ party", {"target": "world"}, "target must be population or corpus"),
    ],
)
def test_what_is_refused(formula: str, options: dict[str, Any], said: str) -> None:
    frame, n = table(), 600
    read = evidence(
        frame,
        hole=[None if row % 6 == 0 else row for row in range(n)],
        twice=frame.year.astype(int) * 2,
        rare=[int(row == frame.index[frame.gold.isna()][0]) for row in range(n)],
        many=[f"word {row}" for row in range(n)],
        number=np.arange(n) % 150,
        exact=(frame.truth == "hostile").astype(int),
        zero=0,
        refined_label=frame.llm_label,
        dsl_hostile=0.5,
        vote_ann=frame.gold,
    )
    with pytest.raises(InputError) as error:
        regress(read, formula, **options)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_class_that_is_also_a_column_is_refused() -> None:
    with pytest.raises(InputError, match="both a class and a column"):
        regress(evidence(table(), hostile=1), "hostile ~ party")


def test_a_column_that_only_looks_like_votes_is_a_regressor() -> None:
    result = regress(evidence(table(), vote_share=np.arange(600) % 7), "hostile ~ vote_share")
    assert terms(result.coefficients) == ["Intercept", "vote_share"]


def test_a_class_without_gold_labels_has_no_regression() -> None:
    frame = table()
    gold = frame.gold.where(frame.gold != "hostile")
    with pytest.raises(InputError, match="no gold label is 'hostile', so they tell nothing"):
        regress(evidence(frame, gold=gold), "hostile ~ party")
    (remark,) = estimate(frame.assign(gold=gold)).remarks
    assert remark.startswith("no gold label is \u201chostile\u201d, so nothing checks")
    assert estimate(frame).remarks == []


def test_an_odd_name_of_a_class_is_written_as_python_reads_it() -> None:
    odd = 'a "b" \\t'
    frame = table().replace({"hostile": odd})
    with pytest.raises(InputError) as error:
        regress(evidence(frame), "nothing ~ party")
    said = str(error.value).split("class (")[1].split(", calm")[0]
    assert regress(evidence(frame), f"{said} ~ party").texts == 600


def test_of_two_classes_one_says_the_other() -> None:
    frame = table()
    frame = frame[(frame.llm_label != "not sure") & (frame.truth != "not sure")].reset_index(drop=True)
    with pytest.raises(InputError, match="of two classes each says the other"):
        regress(evidence(frame), "hostile ~ calm + party")


def test_it_is_printed_and_goes_to_json(capsys: pytest.CaptureFixture[str]) -> None:
    result = estimate(table(), formula="likes ~ hostile + party", target="corpus")
    assert result.regression is not None
    print_regression(result.regression)
    assert "likes ~ hostile + party" in capsys.readouterr().out
    said = " ".join(lines(result.regression))
    assert "Only this corpus is meant" in said and "It is biased" in said
    values = json.loads(json.dumps(result.to_dict()))["regression"]
    assert values["coefficients"][1]["term"] == "party[T.right]" and values["target"] == "corpus"
    assert "regression" not in estimate(table()).to_dict()
    assert list(result.regression.to_frame()["term"]) == ["Intercept", "party[T.right]", "hostile"]


@pytest.mark.slow
def test_the_command(tmp_path: Path, commands: Any) -> None:
    table().to_csv(tmp_path / "table.csv", index=False)
    done = commands("estimate", tmp_path / "table.csv", "--formula", "hostile ~ party", "--family", "logistic")
    assert done.code == 0 and "Logistic regression" in done.out and "Share of each class" not in done.out
    done = commands("estimate", tmp_path / "table.csv", "--formula", "hostile ~ prty", "--json")
    assert done.code == 2 and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"family": "logistic"}, "without --formula there is no regression: leave out --family"),
        ({"drop_missing": True, "target": "corpus"}, "leave out --target, --drop-missing"),
        ({"dsl": True, "by": ["party"], "as_json": True}, "nothing else: leave out --by, --json"),
        ({"output": Path("out.csv")}, "add --dsl"),
    ],
)
def test_an_option_that_does_nothing_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        command(Path("table.csv"), **options)
