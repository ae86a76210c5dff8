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
from silr.refine.posterior_students import CHUNK, Rows, SoftLabels, Students, Term, fit_students
from silr.stats.annotator_evidence import Annotator, votes
from silr.stats.contrasts import Float32, Floats, Numbers, as_targets, contrasts, probabilities
from silr.stats.gaussian_process import Block, GoldProcess, Posterior, Prior
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix, Student
from silr.stats.self_training import self_train

Terms = dict[str, Float32]  # values of prior-mean terms, by name
OnFold = Callable[[NDArray[np.int64], Floats], None]
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
    students, at_gold = procedure.students(soft)
    return procedure.average(soft, students, at_gold, on_fold)


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
        self.terms = {name: _term(annotator, K) for name, annotator in telling.items()}
        self.term_priors = tuple(
            (name, *(LABEL_WEIGHT if each.scores is None else SCORES_WEIGHT)) for name, each in telling.items()
        )

    def soft_labels(self) -> SoftLabels:
        """Step 1: targets of students by each set of gold labels."""
        first = first_student(self.X, self.ridge, self.annotators, self.gold.n_classes)
        terms = self.terms | {name: values.__getitem__ for name, values in first.items()}
        at_gold = {name: term(self.gold.rows) for name, term in terms.items()}
        prior = self._prior((*self.term_priors, *((name, *FIRST_WEIGHT) for name in first)), TABLE)
        prior = self._selected(at_gold, prior)
        learned = [self.cuts.learn(cut) for cut in self.cuts.cuts]
        fits = [self.process.fit(learned[0], at_gold, prior)]
        narrow = self._narrowed(prior, fits[0])
        fits += [self.process.fit(positions, at_gold, narrow, not self.is_large) for positions in learned[1:]]
        return SoftLabels(self.X, fits, terms, self.annotators, self.gold, learned)

    def students(self, soft: SoftLabels) -> tuple[dict[str, Students], dict[tuple[int, ...], Terms]]:
        """Step 2: students on all features and on each group, and for each judged set the terms at the gold texts."""
        ridges = {"joint": self.ridge}
        if len(self.groups) > 1:
            ridges |= {f"group {place}": Ridge(self.X, PENALTY, _span(each)) for place, each in enumerate(self.groups)}
        students, values = fit_students(self.X, ridges, soft, self.gold.rows)
        of_llms = {name: term(self.gold.rows) for name, term in self.terms.items()}
        at_gold = {}
        for cut in self.cuts.judged:
            unseen = {name: self.cuts.out_of_fold(cut, [*np.moveaxis(each, 1, 0)]) for name, each in values.items()}
            at_gold[cut] = of_llms | unseen
        return students, at_gold

    def average(
        self,
        soft: SoftLabels,
        students: dict[str, Students],
        at_gold: dict[tuple[int, ...], Terms],
        on_fold: OnFold | None,
    ) -> Refined:
        """Step 3: models A, B, C (unless every LLM is constant) and D, the classifier alone, averaged by evidence."""
        K, rows = self.gold.n_classes, self.gold.rows
        priors = [self._selected(at_gold[ALL], prior) for prior in self._model_priors(students)]
        models = [self.process.fit(self.cuts.learn(ALL), at_gold[ALL], prior) for prior in priors]
        narrow = [self._narrowed(prior, model) for prior, model in zip(priors, models, strict=True)]
        averages = [_Average(models, _weights(models))]
        of_gold, classifier_gold = np.empty((2, len(rows), K), np.float32)
        for fold, held in enumerate(self.cuts.folds):
            values, learned = at_gold[(fold,)], self.cuts.learn((fold,))
            fits = [self.process.fit(learned, values, prior, not self.is_large) for prior in narrow]
            averages.append(_Average(fits, averages[0].weights if self.is_large else _weights(fits)))
            features, terms = self.process.features[held], {name: each[held] for name, each in values.items()}
            of_features = np.hstack([features @ fit.weight.T + fit.shift for fit in fits])
            parts = averages[-1].contrasts(of_features, terms, [each.at(rows[held]) for each in self.annotators])
            of_gold[held], classifier_gold[held] = averages[-1].mixed(parts), probabilities(parts[-1])
        result, cross_fitted, labels = self._of_all(averages, soft, students, on_fold)
        result[rows] = cross_fitted[rows] = of_gold
        labels[rows] = classifier_gold.argmax(axis=1)
        heads = [_head(model, students, self.annotators, K) for model in models]
        return Refined(result, classifier_gold, labels, cross_fitted, averages[0].weights, heads, heads[-1])

    def _of_all(
        self, averages: Sequence[_Average], soft: SoftLabels, students: dict[str, Students], on_fold: OnFold | None
    ) -> tuple[Float32, Float32, NDArray[np.int16]]:
        """Of all texts the probabilities, those by the fits without a fold, and labels of the classifier alone."""
        n, K = self.X.shape[0], self.gold.n_classes
        used = averages[:1] if self.is_large else averages
        fits = [fit for average in used for fit in average.fits]
        linear = self.X.linear(np.vstack([fit.weight for fit in fits]), np.concatenate([fit.shift for fit in fits]))
        shares = [self.gold.weights[held].sum() / self.gold.weights.sum() for held in self.cuts.folds]
        soft = soft.first(len(used))
        result = np.empty((n, K), np.float32)
        cross_fitted, labels = result if self.is_large else np.zeros_like(result), np.empty(n, np.int16)
        by_fold = np.empty((0 if on_fold is None else len(used) - 1, n, K), np.float32)
        for chunk, rows in self.X.chunks(CHUNK):
            targets, annotators = soft(chunk, rows), [annotator.at(rows) for annotator in self.annotators]
            of_students = {name: each.contrasts(chunk, rows, targets) for name, each in students.items()}
            of_llms = {name: term(rows) for name, term in self.terms.items()}
            of_features = np.split(linear(chunk), len(used), axis=1)
            for place, average in enumerate(used):
                terms = of_llms | {name: values[:, place] for name, values in of_students.items()}
                parts = average.contrasts(of_features[place], terms, annotators)
                if place == 0:
                    result[rows], labels[rows] = average.mixed(parts), probabilities(parts[-1]).argmax(axis=1)
                    continue
                of_fold = average.mixed(parts)
                cross_fitted[rows] += shares[place - 1] * of_fold
                if on_fold is not None:
                    by_fold[place - 1, rows] = of_fold
        if on_fold is not None:
            for held, of_all in zip(self.cuts.folds, by_fold, strict=False):
                on_fold(self.gold.rows[held], of_all)
        return result, cross_fitted, labels

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


@dataclass(frozen=True)
class _Average:
    """Models that learned from the same gold labels."""

    fits: Sequence[Posterior]
    weights: Numbers  # shape (M,)

    def contrasts(self, of_features: Floats, terms: Terms, annotators: Sequence[Annotator]) -> list[Numbers]:
        """Of texts by each model, shape (b, T), from what the features add, shape (b, M * T)."""
        parts = np.split(of_features, len(self.fits), axis=1)
        return [_contrasts(*each, terms, annotators) for each in zip(self.fits, parts, strict=True)]

    def mixed(self, contrasts: Sequence[Numbers]) -> Numbers:
        """Probabilities, shape (b, K)."""
        each = (weight * probabilities(part) for weight, part in zip(self.weights, contrasts, strict=True))
        return sum(each, np.zeros(1))


def _term(annotator: Annotator, n_classes: int) -> Term:
    scale = annotator.scale()

    def term(rows: Rows) -> Float32:
        return annotator.at(rows).term(n_classes, scale)

    return term


def _contrasts(posterior: Posterior, of_features: Floats, terms: Terms, annotators: Sequence[Annotator]) -> Numbers:
    """Contrasts of texts, shape (b, T), from what the features add."""
    total = np.array(of_features, np.float64)
    for name, weight in posterior.term_weights.items():
        total += weight * terms[name]
    for table, annotator in zip(posterior.tables, annotators, strict=True):
        total += np.vstack([table, np.zeros_like(table[:1])])[annotator.labels]
    return total


def _weights(models: Sequence[Posterior]) -> Numbers:
    return np.asarray(softmax([model.log_evidence for model in models]))


def _head(model: Posterior, students: dict[str, Students], annotators: Sequence[Annotator], n_classes: int) -> Head:
    """The model for new texts."""
    weight, intercept = model.weight.copy(), model.shift.copy()
    for name, student in students.items():
        factor, (of_features, shift) = model.term_weights.get(name, 0.0), student.map_of_all()
        weight, intercept = weight + factor * of_features, intercept + factor * shift
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
