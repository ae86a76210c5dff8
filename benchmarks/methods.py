"""The methods that are compared. Each gets the same texts, features, LLM labels and scores, and gold labels.

Each is a function of a split and its gold labels; it answers what it calls every text of the corpus and of the test
part, after each iteration if it has some. True labels beyond the gold ones reach the methods whose name says "oracle",
and the ceiling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from answers import Answer, gold_column
from cases import Case
from gold_rivals import ceiling, gold_only, stack
from llm_rivals import confusion, dawid_skene, llm, majority_vote, threshold
from noise_rivals import ccp, cleanlab, pn
from setfit_rival import setfit
from silr_methods import default, refiner
from tables import Gold, Split

__all__ = ["METHODS", "OPTIONAL", "Gold", "Method", "gold_column", "refiner", "threshold"]

OPTIONAL = {"SetFit": "setfit", "Dawid-Skene": "crowdkit", "Dawid-Skene, gold labels": "crowdkit"}
"""Methods and the modules that they need."""


def anywhere(case: Case) -> bool:
    return True


def with_scores(case: Case) -> bool:
    return case.has_scores


def with_states(case: Case) -> bool:
    return case.has_scores  # TF-IDF stands in for the states of a table that has none


def with_embeddings(case: Case) -> bool:
    return case.features == "minilm"


def with_two_kinds(case: Case) -> bool:
    return case.has_scores or case.features != "tfidf"


def one_llm(case: Case) -> bool:
    return len(case.columns) == 1


def several_llms(case: Case) -> bool:
    return len(case.columns) > 1


@dataclass(frozen=True)
class Method:
    """A method, whether it needs gold labels, and the cases that it is for."""

    run: Callable[[Split, Gold], list[Answer]]
    needs_gold: bool = True
    applies: Callable[[Case], bool] = anywhere


METHODS: dict[str, Method] = {
    "LLM": Method(llm, False),
    "threshold": Method(threshold, applies=with_scores),
    "confusion": Method(confusion, applies=one_llm),
    "majority vote": Method(majority_vote, False, several_llms),
    "Dawid-Skene": Method(dawid_skene(with_gold=False), False, several_llms),
    "Dawid-Skene, gold labels": Method(dawid_skene(with_gold=True), applies=several_llms),
    "gold only: states": Method(gold_only("states"), applies=with_states),
    "gold only: embeddings": Method(gold_only("embeddings"), applies=with_embeddings),
    "gold only: TF-IDF": Method(gold_only("TF-IDF"), applies=with_two_kinds),
    "gold only: both": Method(gold_only("both")),
    "gold only: both, unweighted": Method(gold_only("both", weighted=False)),
    "stack": Method(stack),
    "SetFit": Method(setfit, applies=with_embeddings),
    "PN iterated": Method(pn, False, one_llm),
    "cleanlab": Method(cleanlab, False, one_llm),
    "CCP": Method(ccp, False, one_llm),
    "UU": Method(refiner(method="paper", correction="none"), applies=one_llm),
    "robust UU (paper)": Method(refiner(method="paper"), applies=one_llm),
    "robust UU (paper), both views": Method(refiner(with_tfidf=True, method="paper"), applies=one_llm),
    "robust UU, oracle priors": Method(refiner(method="paper", priors="oracle"), False, one_llm),
    "UU, prior matched": Method(refiner(method="uu"), applies=one_llm),
    "UU, prior matched, corrected": Method(refiner(method="uu", correction="leaky"), applies=one_llm),
    "UU, prior matched, oracle priors": Method(refiner(method="uu", priors="oracle"), False, one_llm),
    "silr, features alone": Method(default(alone=True)),
    "silr": Method(default(), False),
    "ceiling: all true labels": Method(ceiling),
}
