"""The default method: the refined label of a text is the posterior from all evidence on it.

The evidence is what the LLMs say of the text, what the features say of texts like it, and the gold labels.

    X         features, standardised, in groups (states, sentence embeddings, TF-IDF)
    said      prior-mean terms: each LLM's label, or its standardised log-probabilities
    student   ridge regression of soft labels on X; each text is predicted without itself

    1  first   <- student of the LLMs' votes, or self-trained from the LLM's scores
       soft    <- Gaussian process on the gold labels with said and first; gold texts fixed to their gold label
    2  students <- student of soft, on all features and on each group
    3  models  <- Gaussian processes on the gold labels: said and students, with and without corrections by features;
                  said alone; students and corrections, without the LLM
       result  <- their probabilities, averaged by marginal likelihood

The student must not have seen the gold label of a text where the gold label judges it. So steps 1 and 2 run for all
gold labels, without each of five folds of them, and without each two; a gold text takes the student that left out its
fold. The sets without one fold are also those by which the whole procedure is judged on the fold: cross-validation of
all three steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from silr.annotator_evidence import Annotator, votes
from silr.classifiers.posterior import Head
from silr.contrasts import as_targets, contrasts, from_targets, probabilities, standardised
from silr.gaussian_process import Block, GoldProcess, Posterior, Prior
from silr.gold_labels import GoldLabels
from silr.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.self_training import self_train

Numbers = NDArray[np.float64]
Float32 = NDArray[np.float32]
Terms = dict[str, Float32]

AMPLITUDES = (0.0, 0.5, 4.0, 30.0)  # variance of the correction by one group of features
POWERS = 2  # kernels of a block of features
NO_CORRECTION = 1.0  # log prior odds of an amplitude of 0
SHIFT, TABLE = 0.3, 0.1  # variances of class shifts, and of what an LLM's label adds to the logit of a class
SMALL_SHIFT = 0.01  # variance of the shifts of models B and C, which have no corrections
LABEL, SCORES = (1.0, 0.3), (0.3, 0.3)  # mean and variance of the weight of an LLM's label, or of its scores
FIRST = (1.0, 2.0)  # of the first student
JOINT, GROUP = (1.1, 0.4), (0.0, 0.2)  # of the student on all features, and on a group of them
BEST = 4  # hyperparameters that folds take over from the fit to all gold labels
ENOUGH = 150  # gold labels; of more, so many choose as many hyperparameters for all
MUCH = 5000  # gold labels times classes, from which on there is one kernel, and folds take hyperparameters as they are
ROUNDS = 5  # of self-training from scores
ALL: tuple[int, ...] = ()


@dataclass(frozen=True)
class Refined:
    """What the method ends with.

    Attributes
    ----------
    probabilities : float32 array of shape (n, K)
        Of the classes; those of gold texts come from fits without their fold.
    classifier_gold : float32 array of shape (m, K)
        Probabilities that the classifier of features alone gives to the gold texts, by fits without their fold.
    model_weights : float64 array of shape (M,)
        How the evidence weighs the models.
    heads : list of Head
        The models as functions of features and LLM.
    alone : Head
        The classifier of features alone; with gold labels it is the last of the models.
    """

    probabilities: Float32
    classifier_gold: Float32
    model_weights: Numbers
    heads: list[Head]
    alone: Head


@dataclass(frozen=True)
class Student:
    """A ridge regression of soft labels.

    Attributes
    ----------
    contrasts : float32 array of shape (n, T)
        Of each text by the regression without it, standardised.
    weight, intercept : float64 arrays of shape (T, d) and (T,)
        The map from standardised features to contrasts on the same scale, for new texts.
    """

    contrasts: Float32
    weight: Numbers
    intercept: Numbers

    @classmethod
    def of(cls, left_out: NDArray[Any], weight: Numbers, intercept: Numbers) -> Student:
        """From fitted targets, shape (n, T), and the map to such."""
        scaled, mean, size = standardised(from_targets(left_out))
        turned, shifted = from_targets(weight.T).T, from_targets(intercept[None])[0]
        return cls(scaled.astype(np.float32), turned / size, (shifted - mean) / size)


def refine_posterior(
    X: StandardisedMatrix,
    groups: Sequence[Sequence[slice]],
    annotators: Sequence[Annotator],
    gold: GoldLabels,
    seed: int,
) -> Refined:
    """Refine the labels of one LLM or several.

    Parameters
    ----------
    X : StandardisedMatrix
        Features of the corpus.
    groups : sequence of sequence of slice
        The columns of each kind of features; kinds of one group share their amplitude.
    annotators : sequence of Annotator
    gold : GoldLabels
        Their sampling weights are not read: what a text says of its class does not depend on how it was drawn.
    seed : int
        Of the folds.
    """
    K, rows = gold.n_classes, gold.rows
    blocks = [Block.of(columns, X.gram[columns, columns] / X.shape[0]) for group in groups for columns in group]
    process = GoldProcess(X.rows(rows), blocks, [each.labels[rows] for each in annotators], gold.codes, K)
    cuts = CrossFitting.of(gold, seed)
    ridge = Ridge(X, PENALTY)
    useful = {f"said {place}": each for place, each in enumerate(annotators) if not each.is_constant()}
    said = {name: each.term(K) for name, each in useful.items()}
    of_said = tuple((name, *(LABEL if each.scores is None else SCORES)) for name, each in useful.items())
    first = first_student(X, ridge, annotators, K)
    much = K > 2 and K * len(rows) > MUCH
    grid, log_prior = hyperparameters(groups, blocks, 1 if much else POWERS)

    # 1: soft labels
    terms = {**said, **first}
    prior = Prior((*of_said, *((name, *FIRST) for name in first)), SHIFT, TABLE, grid, log_prior)
    at_gold = {name: values[rows] for name, values in terms.items()}
    prior = _chosen(process, cuts.learn(ALL), at_gold, prior)
    found = {ALL: process.fit(cuts.learn(ALL), at_gold, prior)}
    best = 1 if much else BEST
    narrow = prior.best(found[ALL].evidence, best)
    found |= {cut: process.fit(cuts.learn(cut), at_gold, narrow, not much) for cut in cuts.cuts[1:]}
    soft = _soft_labels(X, annotators, terms, found, gold, cuts)

    # 2: students
    cross = X.cross(soft)
    ridges = {"joint": ridge}
    if len(groups) > 1:
        ridges |= {f"group {place}": Ridge(X, PENALTY, _span(group)) for place, group in enumerate(groups)}
    of_students, students_at_gold = [], {cut: dict(at_gold) for cut in cuts.judged}
    main: dict[str, Student] = {}
    for name, each in ridges.items():
        students = _students(each, soft, cross, len(cuts.cuts))
        main[name] = students[0]
        of_students.append((name, *(JOINT if name == "joint" else GROUP)))
        for cut in cuts.judged:
            students_at_gold[cut][name] = cuts.out_of_fold(cut, [student.contrasts[rows] for student in students])

    # 3: models A, B, C (unless every LLM is constant) and D, the classifier alone
    simple = (tuple((0, 0.0) for _ in blocks),)
    priors = [
        Prior((*of_said, *of_students), SHIFT, TABLE, grid, log_prior),
        Prior((*of_said, *of_students), SMALL_SHIFT, 0.0, simple, (0.0,)),
        *([Prior(of_said, SMALL_SHIFT, 0.0, simple, (0.0,))] if said else []),
    ]
    priors.append(Prior(tuple(of_students), SHIFT, 0.0, grid, log_prior))
    priors = [_chosen(process, cuts.learn(ALL), students_at_gold[ALL], each) for each in priors]
    models = [process.fit(cuts.learn(ALL), students_at_gold[ALL], each) for each in priors]
    narrowed = [each.best(model.evidence, best) for each, model in zip(priors, models, strict=True)]
    terms = {**said, **{name: student.contrasts for name, student in main.items()}}
    weights = _weights(models)
    result = _mixed(
        weights, [_contrasts(model, X.scores(model.weight, model.shift), terms, annotators) for model in models]
    ).astype(np.float32)
    judged = np.empty((len(rows), K), np.float32)
    for fold, held in enumerate(cuts.folds):
        values = students_at_gold[(fold,)]
        fits = [process.fit(cuts.learn((fold,)), values, each, not much) for each in narrowed]
        here = [
            _contrasts(
                fit,
                process.features[held] @ fit.weight.T + fit.shift,
                {name: each[held] for name, each in values.items()},
                [each.at(rows[held]) for each in annotators],
            )
            for fit in fits
        ]
        result[rows[held]] = _mixed(weights if much else _weights(fits), here)
        judged[held] = probabilities(here[-1])
    heads = [_head(model, main, annotators, K) for model in models]
    return Refined(result, judged, weights, heads, heads[-1])


def first_student(X: StandardisedMatrix, ridge: Ridge, annotators: Sequence[Annotator], n_classes: int) -> Terms:
    """What texts like this one were labelled, by the LLMs alone: leave-one-out contrasts; nothing of constant LLMs."""
    if all(each.is_constant() for each in annotators):
        return {}
    if len(annotators) == 1 and annotators[0].scores is not None:
        return {"first": next(islice(self_train(X, ridge, annotators[0].scores), ROUNDS - 1, None)).left_out}
    telling = [each for each in annotators if len(np.unique(each.labels[each.labels >= 0])) > 1]
    return {"first": vote_student(ridge, telling, n_classes).contrasts} if telling else {}


def vote_student(ridge: Ridge, annotators: Sequence[Annotator], n_classes: int) -> Student:
    """A student of the share of LLMs that give each class; a text without a label teaches nothing."""
    shares, known = votes(annotators, n_classes)
    targets = as_targets(shares).astype(np.float32)
    weights, intercepts = ridge.fit(targets)
    return Student.of(ridge.leave_one_out(targets, weights, known), weights, intercepts)


def hyperparameters(
    groups: Sequence[Sequence[slice]], blocks: Sequence[Block], powers: int
) -> tuple[tuple[tuple[tuple[int, float], ...], ...], tuple[float, ...]]:
    """Amplitudes of each group and powers of the covariance, and their log prior."""
    grid, log_prior = [], []
    owner = [place for place, group in enumerate(groups) for _ in group]
    for power in range(powers):
        for sizes in product(AMPLITUDES, repeat=len(groups)):
            kernel = [min(power, len(block.kernels) - 1) for block in blocks]
            used = [kernel[each] for each in range(len(blocks)) if sizes[owner[each]]]
            if power and not any(used):
                continue  # the same as with power 0
            grid.append(
                tuple((kernel[each], sizes[owner[each]] / len(groups[owner[each]])) for each in range(len(blocks)))
            )
            log_prior.append(NO_CORRECTION * sizes.count(0.0))
    return tuple(grid), tuple((np.array(log_prior) - logsumexp(log_prior)).tolist())


@dataclass(frozen=True)
class CrossFitting:
    """Folds of the gold labels, and the sets without none, one or two of them.

    Attributes
    ----------
    folds : list of int arrays
        Positions among the gold labels.
    cuts : list of tuple of int
        The folds that each set leaves out; the first set leaves out none.
    """

    folds: list[NDArray[np.int64]]
    cuts: list[tuple[int, ...]]

    @classmethod
    def of(cls, gold: GoldLabels, seed: int) -> CrossFitting:
        """Stratified folds."""
        folds = [left for _, left in gold.folds(seed)]
        count = range(len(folds))
        return cls(folds, [ALL, *((fold,) for fold in count), *combinations(count, 2)])

    @property
    def judged(self) -> list[tuple[int, ...]]:
        """The sets that a model is fitted to."""
        return self.cuts[: 1 + len(self.folds)]

    def learn(self, cut: tuple[int, ...]) -> NDArray[np.int64]:
        """Positions that are not left out."""
        return np.sort(np.concatenate([each for fold, each in enumerate(self.folds) if fold not in cut]))

    def out_of_fold(self, cut: tuple[int, ...], values: Sequence[Float32]) -> Float32:
        """For a fit to one set, what each gold text is said to be by who never saw it.

        Parameters
        ----------
        cut : tuple of int
            The folds that the fit leaves out.
        values : sequence of arrays of shape (m, T)
            At the gold texts, by each of `cuts`.
        """
        by_cut = dict(zip(self.cuts, values, strict=True))
        found = np.empty_like(values[0])
        for fold, positions in enumerate(self.folds):
            found[positions] = by_cut[tuple(sorted({*cut, fold}))][positions]
        return found


def _chosen(process: GoldProcess, rows: NDArray[np.int64], terms: Terms, prior: Prior) -> Prior:
    """With the hyperparameters that some of the gold labels choose, if there are many."""
    if len(rows) <= ENOUGH or len(prior.grid) <= BEST:
        return prior
    some = np.sort(np.random.default_rng(0).permutation(rows)[:ENOUGH])
    return prior.best(process.fit(some, terms, prior).evidence, BEST)


def _soft_labels(
    X: StandardisedMatrix,
    annotators: Sequence[Annotator],
    terms: Terms,
    found: dict[tuple[int, ...], Posterior],
    gold: GoldLabels,
    cuts: CrossFitting,
) -> Float32:
    """Targets of students by each set, side by side, shape (n, sets * T); gold texts that taught a set are fixed."""
    posteriors = [found[cut] for cut in cuts.cuts]
    soft = X.scores(
        np.vstack([each.weight for each in posteriors]), np.concatenate([each.shift for each in posteriors])
    )
    T = len(posteriors[0].shift)
    truth = as_targets(np.eye(gold.n_classes))
    for place, (cut, posterior) in enumerate(zip(cuts.cuts, posteriors, strict=True)):
        here = slice(place * T, (place + 1) * T)
        soft[:, here] = as_targets(probabilities(_contrasts(posterior, soft[:, here], terms, annotators)))
        learned = cuts.learn(cut)
        soft[gold.rows[learned], here] = truth[gold.codes[learned]]
    return soft


def _students(ridge: Ridge, soft: Float32, cross: Numbers, count: int) -> list[Student]:
    """One for each of `count` sets of targets that stand side by side."""
    weights, intercepts = ridge.solve(cross), soft.mean(axis=0, dtype=np.float64)
    left_out = ridge.leave_one_out(soft, weights)
    parts = [np.split(each, count, axis=axis) for each, axis in ((left_out, 1), (weights, 0), (intercepts, 0))]
    return [Student.of(*each) for each in zip(*parts, strict=True)]


def _contrasts(
    posterior: Posterior, of_features: NDArray[Any], terms: Terms, annotators: Sequence[Annotator]
) -> Numbers:
    """Contrasts of texts, shape (n, T), from what the features add."""
    found = np.array(of_features, np.float64)
    for name, weight in posterior.term_weights.items():
        found += weight * terms[name]
    for table, annotator in zip(posterior.tables, annotators, strict=True):
        found += np.vstack([table, np.zeros(table.shape[1])])[annotator.labels]
    return found


def _weights(models: Sequence[Posterior]) -> Numbers:
    found: Numbers = softmax([each.log_evidence for each in models])
    return found


def _mixed(weights: Numbers, parts: Sequence[Numbers]) -> Numbers:
    return sum((weight * probabilities(each) for weight, each in zip(weights, parts, strict=True)), np.zeros(1))


def _head(model: Posterior, students: dict[str, Student], annotators: Sequence[Annotator], n_classes: int) -> Head:
    """The model for new texts."""
    weight, intercept = model.weight.copy(), model.shift.copy()
    for name, student in students.items():
        factor = model.term_weights.get(name, 0.0)
        weight, intercept = weight + factor * student.weight, intercept + factor * student.intercept
    tables, slopes = np.array(model.tables), np.zeros(len(annotators))
    for place, annotator in enumerate(annotators):
        factor = model.term_weights.get(f"said {place}", 0.0)
        if annotator.scores is None:
            tables[place] += factor * contrasts(np.eye(n_classes))
        else:
            slopes[place] = factor
    return Head(weight, intercept, tables, slopes)


def _span(group: Sequence[slice]) -> slice:
    return slice(group[0].start, group[-1].stop)
