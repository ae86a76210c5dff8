"""The default method: the refined label of a text is the posterior from all evidence on it.

The evidence is what the LLMs say of the text, what the features say of texts like it, and the gold labels.

    X         features, standardised, in groups (states, sentence embeddings, TF-IDF)
    llm       prior-mean terms: each LLM's label, or its standardised log-probabilities
    student   ridge regression of soft labels on X; each text is predicted without itself

    1  first    <- student of the LLMs' votes, or self-trained from the LLM's scores
       soft     <- Gaussian process on the gold labels with llm and first; gold texts fixed to their gold label
    2  students <- student of soft, on all features and on each group
    3  models   <- Gaussian processes on the gold labels: llm and students, with and without corrections by features;
                   llm alone; students and corrections, without the LLM
       result   <- their probabilities, averaged by marginal likelihood

The student must not have seen the gold label of a text where the gold label judges it. So steps 1 and 2 run for all
gold labels, without each of five folds of them, and without each two; a gold text takes the student that left out its
fold. The sets without one fold are also those by which the whole procedure is judged on the fold: cross-validation of
all three steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from silr.classifiers.posterior import Head
from silr.stats.annotator_evidence import Annotator, one_hot, votes
from silr.stats.contrasts import Float32, Floats, Numbers, as_targets, contrasts, probabilities
from silr.stats.gaussian_process import Block, GoldProcess, Posterior, Prior
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix, Student
from silr.stats.self_training import self_train

Terms = dict[str, Float32]
OnFold = Callable[[NDArray[np.int64], Numbers], None]
"""Takes the rows of a fold's gold texts, and the probabilities of all texts, (n, K), by fits that never saw them."""

AMPLITUDES = (0.0, 0.5, 4.0, 30.0)  # variance of the correction by one group of features
POWERS = 2  # kernels of a block of features
NO_CORRECTION = 1.0  # log prior odds of an amplitude of 0
SHIFT, TABLE = 0.3, 0.1  # variances of class shifts, and of what an LLM's label adds to the logit of a class
SMALL_SHIFT = 0.01  # variance of the shifts of models B and C, which have no corrections
# mean and variance of the weight of a prior-mean term: an LLM's label, its scores, the first student,
# the student on all features, and one on a group of them
LABEL_WEIGHT, SCORES_WEIGHT, FIRST_WEIGHT = (1.0, 0.3), (0.3, 0.3), (1.0, 2.0)
JOINT_WEIGHT, GROUP_WEIGHT = (1.1, 0.4), (0.0, 0.2)
KEPT_COMBINATIONS = 4  # hyperparameters that folds take over from the fit to all gold labels
SELECTION_LABELS = 150  # gold labels; of more, so many choose as many hyperparameters for all
LARGE = 5000  # gold labels times classes, from which on there is one kernel, and folds take hyperparameters as they are
SELF_TRAINING_ROUNDS = 5
ALL: tuple[int, ...] = ()  # the set of gold labels that leaves out no fold


@dataclass(frozen=True)
class Refined:
    """What the method ends with."""

    probabilities: Float32  # shape (n, K), of the classes; those of gold texts come from fits without their fold
    # shape (m, K), probabilities that the classifier of features alone gives to the gold texts, by fits without their
    # fold
    classifier_gold: Float32
    classifier_labels: NDArray[np.int16]  # shape (n,), of that classifier; those of gold texts by the same fits
    # shape (n, K), `probabilities`, where those of texts without gold label are the mean of the fits without a fold:
    # all texts are seen by fits of the same gold labels
    cross_fitted: Float32
    model_weights: Numbers  # shape (M,), how the evidence weighs the models
    heads: list[Head]  # the models as functions of features and LLM
    alone: Head  # the classifier of features alone; with gold labels it is the last of the models


def refine_posterior(
    X: StandardisedMatrix,
    groups: Sequence[Sequence[slice]],
    annotators: Sequence[Annotator],
    gold: GoldLabels,
    seed: int,
    on_fold: OnFold | None = None,
) -> Refined:
    """Refine the labels of one LLM or several.

    `groups` are the columns of each kind of features; kinds of one group share their amplitude. The weights of the gold
    labels are not read: what a text says of its class does not depend on how it was drawn. The seed is that of the
    folds. `on_fold` is called with each fold of the gold labels, unless the problem is large.
    """
    procedure = _Procedure(X, groups, annotators, gold, seed)
    soft = procedure.soft_labels()
    students, at_gold, left_out = procedure.students(soft)
    return procedure.average(students, at_gold, left_out, on_fold)


class _Procedure:
    """The three steps of `refine_posterior`, and what they share."""

    def __init__(
        self,
        X: StandardisedMatrix,
        groups: Sequence[Sequence[slice]],
        annotators: Sequence[Annotator],
        gold: GoldLabels,
        seed: int,
    ) -> None:
        K, rows = gold.n_classes, gold.rows
        self.X, self.groups, self.annotators, self.gold = X, groups, annotators, gold
        every = [columns for group in groups for columns in group]
        self.blocks = [Block.of(columns, X.gram[columns, columns] / X.shape[0]) for columns in every]
        llm_labels = [annotator.labels[rows] for annotator in annotators]
        self.process = GoldProcess(X.rows(rows), self.blocks, llm_labels, gold.codes, K)
        self.cuts = CrossFitting.of(gold, seed)
        self.ridge = Ridge(X, PENALTY)
        self.is_large = K > 2 and K * len(rows) > LARGE
        self.grid, self.log_prior = hyperparameters(groups, self.blocks, 1 if self.is_large else POWERS)
        telling = {f"annotator {place}": each for place, each in enumerate(annotators) if not each.is_constant()}
        self.terms = {name: annotator.term(K) for name, annotator in telling.items()}
        self.term_priors = tuple(
            (name, *(LABEL_WEIGHT if each.scores is None else SCORES_WEIGHT)) for name, each in telling.items()
        )

    def soft_labels(self) -> Float32:
        """Step 1: targets of students by each set of gold labels, side by side, shape (n, sets * T).

        Gold texts that taught a set are fixed to their gold label.
        """
        first = first_student(self.X, self.ridge, self.annotators, self.gold.n_classes)
        terms = self.terms | first
        at_gold = self._at_gold(terms)
        prior = self._prior((*self.term_priors, *((name, *FIRST_WEIGHT) for name in first)), TABLE)
        prior = self._selected(at_gold, prior)
        posteriors = [self.process.fit(self.cuts.learn(ALL), at_gold, prior)]
        narrow = self._narrowed(prior, posteriors[0])
        for cut in self.cuts.cuts[1:]:
            posteriors.append(self.process.fit(self.cuts.learn(cut), at_gold, narrow, not self.is_large))
        soft = self.X.scores(
            np.vstack([fit.weight for fit in posteriors]), np.concatenate([fit.shift for fit in posteriors])
        )
        T = len(posteriors[0].shift)
        truth = as_targets(np.eye(self.gold.n_classes))
        for place, (cut, posterior) in enumerate(zip(self.cuts.cuts, posteriors, strict=True)):
            part = slice(place * T, (place + 1) * T)
            soft[:, part] = as_targets(probabilities(_contrasts(posterior, soft[:, part], terms, self.annotators)))
            learned = self.cuts.learn(cut)
            soft[self.gold.rows[learned], part] = truth[self.gold.codes[learned]]
        return soft

    def students(self, soft: Float32) -> tuple[dict[str, Student], dict[tuple[int, ...], Terms], list[Terms]]:
        """Step 2: students on all features and on each group, and for each judged set the terms at the gold texts.

        The last are, for each fold, the terms of all texts by the students that never saw it; none of a large problem.
        """
        cross = self.X.cross(soft)
        ridges = {"joint": self.ridge}
        if len(self.groups) > 1:
            ridges |= {f"group {place}": Ridge(self.X, PENALTY, _span(each)) for place, each in enumerate(self.groups)}
        at_gold = {cut: self._at_gold(self.terms) for cut in self.cuts.judged}
        left_out = [] if self.is_large else [dict(self.terms) for _ in self.cuts.folds]
        students: dict[str, Student] = {}
        for name, ridge in ridges.items():
            by_set = _students(ridge, soft, cross, len(self.cuts.cuts))
            students[name] = by_set[0]
            contrasts_at_gold = [student.contrasts[self.gold.rows] for student in by_set]
            for cut in self.cuts.judged:
                at_gold[cut][name] = self.cuts.out_of_fold(cut, contrasts_at_gold)
            for terms, student in zip(left_out, by_set[1:], strict=False):  # sets without one fold come first
                terms[name] = student.contrasts.copy()  # alone: the sets without two folds are let go
        return students, at_gold, left_out

    def average(
        self,
        students: dict[str, Student],
        at_gold: dict[tuple[int, ...], Terms],
        left_out: list[Terms],
        on_fold: OnFold | None,
    ) -> Refined:
        """Step 3: models A, B, C (unless every LLM is constant) and D, the classifier alone, averaged by evidence."""
        K, rows = self.gold.n_classes, self.gold.rows
        priors = [self._selected(at_gold[ALL], prior) for prior in self._model_priors(students)]
        models = [self.process.fit(self.cuts.learn(ALL), at_gold[ALL], prior) for prior in priors]
        narrow = [self._narrowed(prior, model) for prior, model in zip(priors, models, strict=True)]
        terms = self.terms | {name: student.contrasts for name, student in students.items()}
        weights = _weights(models)
        parts = [_contrasts(each, self.X.scores(each.weight, each.shift), terms, self.annotators) for each in models]
        result = _mixed(weights, parts).astype(np.float32)
        classifier_labels = probabilities(parts[-1]).argmax(axis=1).astype(np.int16)
        classifier_gold = np.empty((len(rows), K), np.float32)
        cross_fitted = np.zeros_like(result)
        for fold, held in enumerate(self.cuts.folds):
            values, learned = at_gold[(fold,)], self.cuts.learn((fold,))
            fits = [self.process.fit(learned, values, prior, not self.is_large) for prior in narrow]
            by_evidence = weights if self.is_large else _weights(fits)
            features, terms = self.process.features[held], {name: each[held] for name, each in values.items()}
            annotators = [annotator.at(rows[held]) for annotator in self.annotators]
            parts = [_contrasts(fit, features @ fit.weight.T + fit.shift, terms, annotators) for fit in fits]
            result[rows[held]] = _mixed(by_evidence, parts)
            classifier_gold[held] = probabilities(parts[-1])
            if left_out:
                share = self.gold.weights[held].sum() / self.gold.weights.sum()
                of_all = self._of_all(fits, by_evidence, left_out[fold])
                cross_fitted += share * of_all
                if on_fold is not None:
                    on_fold(rows[held], of_all)
        if not left_out:
            cross_fitted = result
        cross_fitted[rows] = result[rows]
        classifier_labels[rows] = classifier_gold.argmax(axis=1)
        heads = [_head(model, students, self.annotators, K) for model in models]
        return Refined(result, classifier_gold, classifier_labels, cross_fitted, weights, heads, heads[-1])

    def _of_all(self, fits: Sequence[Posterior], weights: Numbers, terms: Terms) -> Numbers:
        """Probabilities of all texts, shape (n, K), by fits to the gold labels without a fold."""
        scores = self.X.scores(np.vstack([fit.weight for fit in fits]), np.concatenate([fit.shift for fit in fits]))
        of_features = np.split(scores, len(fits), axis=1)
        return _mixed(
            weights, [_contrasts(*each, terms, self.annotators) for each in zip(fits, of_features, strict=True)]
        )

    def _model_priors(self, students: Iterable[str]) -> list[Prior]:
        """Of models A, B, C and D."""
        of_students = tuple((name, *(JOINT_WEIGHT if name == "joint" else GROUP_WEIGHT)) for name in students)
        uncorrected = (tuple((0, 0.0) for _ in self.blocks),)
        return [
            self._prior((*self.term_priors, *of_students), TABLE),
            Prior((*self.term_priors, *of_students), SMALL_SHIFT, 0.0, uncorrected, (0.0,)),
            *([Prior(self.term_priors, SMALL_SHIFT, 0.0, uncorrected, (0.0,))] if self.term_priors else []),
            self._prior(of_students, 0.0),
        ]

    def _prior(self, terms: tuple[tuple[str, float, float], ...], table: float) -> Prior:
        """With corrections by features."""
        return Prior(terms, SHIFT, table, self.grid, self.log_prior)

    def _at_gold(self, terms: Terms) -> Terms:
        return {name: values[self.gold.rows] for name, values in terms.items()}

    def _selected(self, at_gold: Terms, prior: Prior) -> Prior:
        """With the hyperparameters that some of the gold labels choose, if there are many."""
        rows = self.cuts.learn(ALL)
        if len(rows) <= SELECTION_LABELS or len(prior.grid) <= KEPT_COMBINATIONS:
            return prior
        some = np.sort(np.random.default_rng(0).permutation(rows)[:SELECTION_LABELS])
        return prior.best(self.process.fit(some, at_gold, prior).evidence, KEPT_COMBINATIONS)

    def _narrowed(self, prior: Prior, posterior: Posterior) -> Prior:
        """With the hyperparameters that folds take over from the fit to all gold labels."""
        return prior.best(posterior.evidence, 1 if self.is_large else KEPT_COMBINATIONS)


def first_student(X: StandardisedMatrix, ridge: Ridge, annotators: Sequence[Annotator], n_classes: int) -> Terms:
    """Leave-one-out contrasts from what the LLMs say of texts like each; nothing of constant LLMs."""
    if all(annotator.is_constant() for annotator in annotators):
        return {}
    if len(annotators) == 1 and annotators[0].scores is not None:
        rounds = self_train(X, ridge, annotators[0].scores)
        return {"first": next(islice(rounds, SELF_TRAINING_ROUNDS - 1, None)).contrasts}
    telling = [annotator for annotator in annotators if len(np.unique(annotator.labels[annotator.labels >= 0])) > 1]
    return {"first": vote_student(ridge, telling, n_classes).contrasts} if telling else {}


def vote_student(ridge: Ridge, annotators: Sequence[Annotator], n_classes: int) -> Student:
    """A student of the share of LLMs that give each class; a text without a label teaches nothing."""
    shares, known = votes(annotators, n_classes)
    return ridge.student(as_targets(shares).astype(np.float32), known)


def hyperparameters(
    groups: Sequence[Sequence[slice]], blocks: Sequence[Block], powers: int
) -> tuple[tuple[tuple[tuple[int, float], ...], ...], tuple[float, ...]]:
    """Amplitudes of each group and powers of the covariance, and their log prior."""
    grid, log_prior = [], []
    owner = [place for place, group in enumerate(groups) for _ in group]
    for power, sizes in product(range(powers), product(AMPLITUDES, repeat=len(groups))):
        kernels = [min(power, len(block.kernels) - 1) for block in blocks]
        if power and not any(kernel for kernel, place in zip(kernels, owner, strict=True) if sizes[place]):
            continue  # the same as with power 0
        amplitudes = [sizes[place] / len(groups[place]) for place in owner]
        grid.append(tuple(zip(kernels, amplitudes, strict=True)))
        log_prior.append(NO_CORRECTION * sizes.count(0.0))
    return tuple(grid), tuple((np.array(log_prior) - logsumexp(log_prior)).tolist())


@dataclass(frozen=True)
class CrossFitting:
    """Folds of the gold labels, and the sets without none, one or two of them."""

    folds: list[NDArray[np.int64]]  # positions among the gold labels
    cuts: list[tuple[int, ...]]  # the folds that each set leaves out; the first set leaves out none

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
        return np.sort(np.concatenate([positions for fold, positions in enumerate(self.folds) if fold not in cut]))

    def out_of_fold(self, cut: tuple[int, ...], values: Sequence[Float32]) -> Float32:
        """For a fit to one set, the values of each gold text from the set that never saw it.

        `cut` are the folds that the fit leaves out; `values`, shape (m, T), those at the gold texts by each of `cuts`.
        """
        by_cut = dict(zip(self.cuts, values, strict=True))
        unseen = np.empty_like(values[0])
        for fold, positions in enumerate(self.folds):
            unseen[positions] = by_cut[tuple(sorted({*cut, fold}))][positions]
        return unseen


def _students(ridge: Ridge, soft: Float32, cross: Numbers, count: int) -> list[Student]:
    """One for each of `count` sets of targets that stand side by side."""
    weights, intercepts = ridge.solve(cross), soft.mean(axis=0, dtype=np.float64)
    leave_one_out = ridge.leave_one_out(soft, weights)
    parts = [np.split(each, count, axis=axis) for each, axis in ((leave_one_out, 1), (weights, 0), (intercepts, 0))]
    return [Student.of(*each) for each in zip(*parts, strict=True)]


def _contrasts(posterior: Posterior, of_features: Floats, terms: Terms, annotators: Sequence[Annotator]) -> Numbers:
    """Contrasts of texts, shape (n, T), from what the features add."""
    total = np.array(of_features, np.float64)
    for name, weight in posterior.term_weights.items():
        total += weight * terms[name]
    for table, annotator in zip(posterior.tables, annotators, strict=True):
        total += one_hot(annotator.labels, len(table)) @ table
    return total


def _weights(models: Sequence[Posterior]) -> Numbers:
    return np.asarray(softmax([model.log_evidence for model in models]))


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
        factor = model.term_weights.get(f"annotator {place}", 0.0)
        if annotator.scores is None:
            tables[place] += factor * contrasts(np.eye(n_classes))
        else:
            slopes[place] = factor
    return Head(weight, intercept, tables, slopes)


def _span(group: Sequence[slice]) -> slice:
    return slice(group[0].start, group[-1].stop)
