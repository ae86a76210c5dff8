"""All methods as one scikit-learn estimator, with or without a run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, check_random_state

from silr.annotator_evidence import Annotator, annotators_of, majority
from silr.classifiers.base import Classifier
from silr.classifiers.choose import ClassifierName, classifier_maker, classifier_options, load_classifier
from silr.classifiers.linear import FeatureClassifier
from silr.classifiers.posterior import PosteriorClassifier
from silr.classifiers.tokens import TokenFeatures, Tokens
from silr.corpus import corpus_hash, digest
from silr.corpus_keys import Keys, row_keys, text_keys, with_annotators
from silr.default_refine import refine_default
from silr.errors import InputError
from silr.estimator_habits import EstimatorHabits
from silr.features import Features, features_of, features_of_run, load_saved
from silr.finished import check_finished
from silr.gold import given_weights, post_stratified
from silr.gold_labels import GoldLabels
from silr.inputs import is_empty, texts_of_rows, texts_or_matrix, widths_of
from silr.joined_features import groups_of
from silr.labels import check_gold, check_occurring, check_shapes, encode_columns, llm_columns, llm_score_arrays
from silr.losses import LEAK, Correction, Loss
from silr.methods import METHODS, Method
from silr.priors import Priors, given_priors, priors_from_gold, priors_from_truth
from silr.processes import wait_for_all
from silr.refine import Loop, OnStep, Store, best_iteration, refine
from silr.refiner_settings import check_settings, configuration, uses_default, warn_of_no_gold, warn_of_scores
from silr.run import Iteration, Run
from silr.verdict import compare, last_iteration, verdict_of
from silr.without_gold import refine_without_gold


class LabelRefiner(EstimatorHabits, BaseEstimator):  # type: ignore[misc]
    """Turns the biased labels of one LLM or several into better labels and a classifier.

    Parameters
    ----------
    classifier : {"frozen", "lora", "qlora", "full"}, default "frozen"
        A head on frozen features, or a pretrained model that is fine-tuned on the texts: by adapters, by adapters on
        its 4-bit weights, or in all its weights.
    model : str, default None
        Which model to fine-tune: a folder, a ``.gguf`` file or a hub name.
    iterations : int, default 5
        Of methods "uu" and "paper", and of "silr" where there are scores and no gold labels. "silr" needs none else.
    method : {"silr", "uu", "paper"}, default "silr"
        "paper" is the recipe of Asano et al.: leaky correction, thresholds as the fit leaves them, a model fine-tuned
        from a head of 0, with learning rate 1e-4 for adapters. "uu" keeps the risk unbiased, sets the thresholds by
        the class prior, and fine-tunes from the head that fits the untuned model, with a learning rate for adapters
        that suits the model's width. "silr" is the posterior from all evidence: what the LLMs say of a text, what the
        features say of texts like it, and the gold labels; a fine-tuned model learns its labels. With `theta` or oracle
        priors it is "uu".
    loss : {"sigmoid", "logistic"}, default "sigmoid"
    correction : {"none", "leaky", "relu", "abs"}, default None
        None: as `method` says, "none" or "leaky".
    leak : float, default -0.001
        Lambda of the correction "leaky".
    hidden_units : int, default 0
        0 is a linear head, else one hidden layer of that many units.
    epochs : int, default None
        None: as many as make about 250 steps; for a fine-tuned model 1, with method "paper" 3.
    learning_rate : float, default None
        None: 1e-3; for adapters as `method` says, 2e-5 for all weights.
    batch_size : int, default None
        None: a 25th of the training texts, at least 256 and at most 4096; 16 for a fine-tuned model.
    max_length : int, default None
        The longest text that a fine-tuned model reads, in tokens; None: 512, or the model's limit if that is less.
    prompt : str, default None
        Words around each text that a fine-tuned model reads, such as "{text} The sentiment is". None: the text alone.
    tune_top : int, default None
        Fine-tune the last so many layers only; what the others make of a text is computed once. None: all.
    features : str, Path or sequence of them, default "tfidf"
        How texts become features, if `fit` is given texts: "tfidf" (of words and of characters), a
        sentence-transformers folder or name, or a ``.npy`` file with one row a text. Several are put side by side.
    priors : {"gold", "oracle"}, default "gold"
        Where theta and the class prior come from. "oracle" takes all true labels: for research only.
    theta : array-like of shape (K, K), default None
        Share of true class k (column) among the texts with LLM label j (row), classes in sorted order, if it is known
        from elsewhere. It describes the LLM's labels only: without gold labels there is one iteration.
    class_prior : array-like of shape (K,), default None
        With `theta`; None: ``q @ theta``, with q the shares of the LLM's labels.
    run : str or Path, default None
        Run directory that keeps every iteration. An interrupted `fit` goes on where it stopped.
    random_state : int, RandomState instance or None, default 0
        Anything but an int draws a seed, so that a run can't be resumed.
    device : str, default None
        None: the GPU if there is one, else the processor.

    Attributes
    ----------
    labels_ : ndarray of shape (n,)
        The refined labels. With method "silr" those of gold texts are what they would be without their gold label.
    scores_ : float32 ndarray of shape (n, K)
        Class scores of the refined labels; rows of `theta_` where the LLM's labels are the result.
    theta_ : ndarray of shape (K, K)
        Share of true class k inside the texts with refined label j, estimated.
    class_prior_ : ndarray of shape (K,)
    priors_ : Priors
        Both, and the accuracy, with intervals. All three are None if only `theta` was given.
    history_ : list of dict
        For each iteration, 0 being the LLM's labels: ``labels``, ``priors``, ``metrics``. Method "silr" has one more,
        whose metrics hold ``classifier_accuracy`` and its interval, of the classifier that reads features alone.
    best_iteration_ : int
        Whose labels are the result; 0 is the LLM's.
    verdict_ : Verdict
        The same in words, with what the gold labels say of the refined labels against the LLM's.
    classifier_iteration_ : int
        Whose classifier predicts: the last one that the signal lasted to.
    llm_names_ : list of str
        Names of the LLMs, "" for a single column.
    classes_ : ndarray of shape (K,)
    n_features_in_ : int, or None of a fine-tuned model, which reads texts
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Columns of X, where it was a frame: `predict` wants the same, in the same order.

    References
    ----------
    Asano, Kozuno, Baba, "Self Iterative Label Refinement via Robust Unlabeled Learning", NeurIPS 2025 (arXiv
    2502.12565).

    Examples
    --------
    >>> import numpy as np
    >>> from silr import LabelRefiner
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=500)
    >>> X = rng.normal(size=(500, 5)) + truth[:, None]
    >>> llm = np.where(rng.random(500) < 0.4, 1, truth)  # calls some of the 0s a 1
    >>> gold = [int(label) if row < 50 else None for row, label in enumerate(truth)]
    >>> refiner = LabelRefiner().fit(X, llm, gold=gold)
    >>> bool((refiner.labels_ == truth).mean() > (llm == truth).mean() + 0.05)
    True
    """

    features_: Features

    def __init__(
        self,
        classifier: ClassifierName = "frozen",
        iterations: int = 5,
        *,
        model: str | Path | None = None,
        method: Method = "silr",
        loss: Loss = "sigmoid",
        correction: Correction | None = None,
        leak: float = LEAK,
        hidden_units: int = 0,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        prompt: str | None = None,
        tune_top: int | None = None,
        features: str | Path | Sequence[str | Path] = "tfidf",
        priors: Literal["gold", "oracle"] = "gold",
        theta: ArrayLike | None = None,
        class_prior: ArrayLike | None = None,
        run: str | Path | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str | None = None,
    ) -> None:
        self.classifier = classifier
        self.model = model
        self.iterations = iterations
        self.method = method
        self.loss = loss
        self.correction = correction
        self.leak = leak
        self.hidden_units = hidden_units
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_length = max_length
        self.prompt = prompt
        self.tune_top = tune_top
        self.features = features
        self.priors = priors
        self.theta = theta
        self.class_prior = class_prior
        self.run = run
        self.random_state = random_state
        self.device = device

    def fit(
        self,
        X: ArrayLike | Sequence[str],
        y: ArrayLike | Mapping[str, ArrayLike],
        gold: ArrayLike | None = None,
        *,
        llm_scores: ArrayLike | Mapping[str, ArrayLike] | Sequence[ArrayLike | None] | None = None,
        gold_weight: ArrayLike | None = None,
        truth: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        on_iteration: Callable[[Iteration], None] | None = None,
        on_step: OnStep | None = None,
    ) -> Self:
        """Refine the LLM's labels. Each text has its own posterior, so that a ``sample_weight`` would mean nothing.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or n texts, or list of arrays of shape (n, n_features_i)
            Features (memory maps are read in place, sparse matrices become dense), or texts that `features` turns into
            them. Of several kinds of features, a list of arrays, method "silr" finds out how far each is to be trusted.
        y : array-like of shape (n,) or (n, L), or mapping of L names to arrays of shape (n,)
            The LLM's labels, of any type, or those of several LLMs or prompts. None, NaN or '' where it gave none (-1
            too among integers, as in `sklearn.semi_supervised`, unless `classes` has it, or `gold` has it beside NaN);
            such texts are labelled too.
        gold : array-like of shape (n,), default None
            Labels given by a person, None, NaN or '' (or -1, see `y`) where there is none. At least 10; 50 to 100 are
            enough. Without any, method "silr" takes the LLMs at their word, and warns.
        llm_scores : array-like of shape (n, K), default None
            The LLM's log-probabilities, classes in the order of `classes_` (a frame's columns may have their names); a
            row of NaN where it gave none. None: only its labels are known. Of several LLMs a mapping by name, or a
            sequence with None for those without. Method "silr" reads them.
        gold_weight : array-like of shape (n,), default None
            1 / probability that the text was drawn for a gold label, up to a factor. None: gold was drawn at random, or
            at random inside each LLM label.
        truth : array-like of shape (n,), default None
            True labels. They only score the iterations (``true_accuracy`` in `history_`), unless ``priors="oracle"``.
        classes : array-like of shape (K,), default None
            The classes, if the LLM gave some of them never. None: those that it gave. With them a label may differ from
            its class in case.
        on_iteration : callable, default None
            Called with each `Iteration` as soon as it is finished (and stored, if there is a run).
        on_step : callable, default None
            Called with the number of the iteration, how many steps of its fit are done, and how many there are.

        Raises
        ------
        InputError
            Wrong shapes or values, too few gold labels, one class only, or a run directory of something else.
        NoSignalError
            The LLM's labels cannot be told apart: there is nothing to refine.
        """
        check_settings(self.get_params())
        columns = llm_columns(y)
        self.llm_names_ = list(columns)
        found = encode_columns(list(columns.values()), gold, truth, classes, self.llm_names_)
        self.classes_, labels, gold_codes, true_codes = found
        n_classes, names, n = len(self.classes_), [str(each) for each in self.classes_], len(gold_codes)
        weight = None if gold_weight is None else np.asarray(gold_weight)
        has_gold = bool((gold_codes >= 0).any())
        if weight is not None:
            given_weights(weight, np.flatnonzero(gold_codes >= 0), n)  # refuses what cannot be one
        scores = llm_score_arrays(llm_scores, self.llm_names_, names)
        for each in scores:
            check_shapes(each, self.theta, n, names)
        annotators = list(map(Annotator, labels, scores, self.llm_names_))
        warn_of_scores(annotators)
        default = uses_default(self.get_params())
        if self.priors == "oracle" and truth is None:
            raise InputError("priors='oracle' takes them from the truth: give it")
        if not default and len(columns) > 1:
            raise InputError(
                f"there are labels of {len(columns)} LLMs ({', '.join(columns)}), but methods uu and paper, theta and "
                "oracle priors take one: choose it"
            )
        no_gold = default and not has_gold and self.classifier == "frozen"
        if no_gold:
            warn_of_no_gold(annotators)
        elif self.priors == "gold" and (self.theta is None or has_gold):
            check_gold(gold_codes, names, one_class=default)
        codes = majority(annotators, n_classes)
        if not default:
            check_occurring(codes, gold_codes, names)
        texts, matrix = self._read(X, n)
        seed = self.random_state
        seed = seed if isinstance(seed, (int, np.integer)) else check_random_state(seed).randint(2**31 - 1)

        def estimate(labels: NDArray[np.int16], number: int) -> Priors | None:
            labelled = labels >= 0
            if self.theta is not None and number == 0:
                return given_priors(self.theta, self.class_prior, labels[labelled])
            if self.priors == "oracle":
                labelled &= true_codes >= 0
                return priors_from_truth(labels[labelled], true_codes[labelled], n_classes)
            if not (gold_codes[labelled] >= 0).any():
                return None
            weights = None if weight is None else weight[labelled]
            strata = np.where(codes < 0, n_classes, codes)[labelled]
            return priors_from_gold(labels[labelled], gold_codes[labelled], n_classes, weights, strata)

        correction = self.correction or METHODS[self.method].correction
        options = classifier_options(self.get_params(), METHODS[self.method])
        weights = post_stratified(codes, gold_codes >= 0) if weight is None else weight
        gold_labels = GoldLabels.of(gold_codes, weights, n_classes) if has_gold else None

        def keys() -> Keys:
            return row_keys(matrix) if texts is None else text_keys(texts)

        def new_risk(priors: Priors) -> Any:
            from silr.risk import UURisk

            return UURisk(priors.theta, priors.class_prior, self.loss, correction, self.leak)

        def work(X: Any, checkpoints: Path | None, done: list[Iteration], store: Store) -> list[Iteration]:
            loop = Loop(
                estimate=estimate,
                new_classifier=classifier_maker(self.classifier, options, X, n_classes, self.device, checkpoints),
                new_risk=new_risk,
                iterations=self.iterations,
                seed=int(seed),
                class_names=names,
                truth=true_codes if truth is not None else None,
                on_step=on_step,
                compare=partial(compare, estimate, codes, gold_labels, names=names),
            )
            if not default:
                return refine(X, codes, loop, done, store)
            if isinstance(X, Tokens):
                from silr.soft_finetune import refine_finetuned

                assert gold_labels is not None
                return refine_finetuned(X, texts or [], annotators, gold_labels, loop, done, store)
            if gold_labels is None and len(annotators) == 1 and scores[0] is not None:
                return refine_without_gold(X, codes, scores[0], loop, done, store)
            groups = groups_of(getattr(self, "features_", None), X.shape[1], self._widths)
            return refine_default(X, groups, annotators, gold_labels, keys, loop, done, store)

        if self.run is None:
            if texts is not None:
                matrix = self.features_.fit_transform(texts)
            classifiers: dict[int, Any] = {}

            def keep(iteration: Iteration, classifier: Classifier | None) -> None:
                classifiers[iteration.number] = classifier
                classifiers.pop(iteration.number - 2, None)  # the result is the last one or the one before
                if on_iteration is not None:
                    on_iteration(iteration)

            iterations = work(matrix, None, [], keep)
            self.classifier_ = classifiers[last_iteration(iterations)]
        else:
            used: list[Any] = [*labels, gold_codes, weight, true_codes if self.priors == "oracle" else None]
            used += scores if default else []
            settings = configuration(self.get_params(), options) | {"seed": int(seed), "correction": correction}
            identity = {
                "configuration": settings,
                "classes": names,
                "annotators": self.llm_names_,
                "input": digest(matrix if texts is None else corpus_hash(texts), *used),
                "features": self.features_.record if texts is not None else self._given_features(),
            }
            about = {"gold": int((gold_codes >= 0).sum()), "texts": n}
            with Run.start(self.run, identity, about) as run:

                def store(iteration: Iteration, classifier: Classifier | None) -> None:
                    run.save_iteration(iteration, classifier)
                    if on_iteration is not None:
                        on_iteration(iteration)

                done = run.iterations()
                wait_for_all()  # nobody writes before all have read
                if len(done) > self.iterations + 1 and "of" not in done[0].metrics:
                    raise InputError(f"{run.folder} has {len(done) - 1} iterations already; ask for as many or more")
                if texts is not None:
                    self.features_, matrix = features_of_run(self.features_, texts, run.folder / "features")
                iterations = work(matrix, run.checkpoints, done, store)
            self.classifier_ = load_classifier(run.iteration_folder(last_iteration(iterations)), self.device)
        self._set_results(iterations, matrix)
        self.n_features_in_ = matrix.shape[1] if isinstance(matrix, np.ndarray) else None
        return self

    def predict_proba(
        self,
        X: ArrayLike | Sequence[str],
        *,
        llm_labels: Any = None,
        llm_scores: Any = None,
        texts: Sequence[str] | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities, shape (m, K), of features, or of texts if it was fitted on texts.

        Parameters
        ----------
        X : array-like of shape (m, n_features), or m texts
        llm_labels : as y of `fit`, default None
            What the same LLMs say of these texts; None or NaN where one says nothing. Method "silr" uses them: texts of
            the corpus get the probabilities that they had there. None: the features alone speak.
        llm_scores : as in `fit`, default None
            Needed with `llm_labels` where `fit` had them.
        texts : sequence of m str, default None
            The texts that the features X are of, where `fit` had texts: texts of the corpus are known by them.

        Raises
        ------
        InputError
            Wrong width, non-finite features, texts where the run's features cannot be computed for new texts, or labels
            of other LLMs, of none of the classes, or without scores that `fit` had.
        """
        return self.predict_with_proba(X, llm_labels=llm_labels, llm_scores=llm_scores, texts=texts)[1]

    def predict_with_proba(
        self,
        X: ArrayLike | Sequence[str],
        *,
        llm_labels: Any = None,
        llm_scores: Any = None,
        texts: Sequence[str] | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Labels, shape (m,), and probabilities, shape (m, K), by reading X once; see `predict` and `predict_proba`.

        Where the verdict keeps the LLM's labels, `llm_labels` are the result, with the shares of the classes among
        texts of such a label for probabilities; they need not be the most probable class.
        """
        check_is_fitted(self)
        if is_empty(X):
            return self.classes_[:0], np.empty((0, len(self.classes_)), np.float32)
        own, matrix = self._new(X)
        texts = own if texts is None else texts_of_rows(texts, len(matrix))
        classifier: Classifier = self.classifier_
        if llm_labels is None and llm_scores is None:
            scores = classifier.predict_proba(matrix)
            return np.asarray(self.classes_[scores.argmax(axis=1)]), scores
        if self.verdict_.kept == "llm":
            return self.keep_llm_labels(llm_labels, classifier.predict_proba(matrix))
        if not isinstance(classifier, PosteriorClassifier):
            raise InputError(
                "only a frozen classifier of method 'silr', with gold labels, takes what LLMs say of new texts"
            )
        annotators = annotators_of(
            llm_labels, llm_scores, self.llm_names_, classifier.mixture.scales, self.classes_, len(matrix)
        )
        keys = row_keys(matrix) if texts is None else text_keys(texts)
        scores = classifier.predict_with_annotators(matrix, annotators, with_annotators(keys, annotators))
        return np.asarray(self.classes_[scores.argmax(axis=1)]), scores

    def predict(
        self,
        X: ArrayLike | Sequence[str],
        *,
        llm_labels: Any = None,
        llm_scores: Any = None,
        texts: Sequence[str] | None = None,
    ) -> NDArray[Any]:
        """Labels, shape (m,), the most probable classes; see `predict_proba`."""
        return self.predict_with_proba(X, llm_labels=llm_labels, llm_scores=llm_scores, texts=texts)[0]

    def _new(self, X: Any) -> tuple[list[str] | None, Any]:
        """New texts, if they are texts, and what the classifier reads of them."""
        texts, matrix = texts_or_matrix(X)
        if texts is not None:
            if not hasattr(self, "features_"):
                raise InputError("this refiner was fitted on features; give features, not texts")
            matrix = self.features_.transform(texts)
        elif self.n_features_in_ is None:
            raise InputError("this refiner reads texts; give texts, not features")
        else:
            self._check_names(X, reset=False)
        if self.n_features_in_ is not None and matrix.shape[1] != self.n_features_in_:
            raise InputError(f"X has {matrix.shape[1]} features, the classifier was fitted on {self.n_features_in_}")
        return texts, matrix

    def keep_llm_labels(self, llm_labels: Any, scores: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Labels and probabilities of new texts where the verdict keeps the LLM's labels.

        Parameters
        ----------
        llm_labels : array-like of shape (m,), or dict of name to such
        scores : array of shape (m, K)
            What the classifier gives; texts without LLM label take it.
        """
        (llm,) = annotators_of(llm_labels, None, self.llm_names_, [None], self.classes_, len(scores))
        labels = np.where(llm.labels < 0, scores.argmax(axis=1), llm.labels)
        return self.classes_[labels], self._scores_of_llm(llm.labels, self.priors_, scores)

    @staticmethod
    def _scores_of_llm(
        labels: NDArray[np.int16], priors: Priors | None, others: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores of texts with the LLM's labels, the shares of the classes among such texts; `others` of the rest."""
        assert priors is not None
        shares = priors.theta.astype(np.float32)[np.maximum(labels, 0)]
        return np.where((labels >= 0)[:, None], shares, others)

    @classmethod
    def load(cls, run: str | Path, device: str | None = None) -> LabelRefiner:
        """The fitted refiner of a finished run, with classes as strings.

        Raises
        ------
        InputError
            `run` is not a run or not finished, or the model under it is another one now.
        """
        opened = Run(run)
        iterations = opened.iterations()
        check_finished(opened, iterations)
        refiner = cls(run=str(run), device=device)
        refiner.classes_ = np.array(opened.manifest["identity"]["classes"])
        refiner.llm_names_ = opened.manifest["identity"].get("annotators", [""])
        refiner.classifier_ = load_classifier(opened.iteration_folder(last_iteration(iterations)), device)
        record = opened.manifest["identity"]["features"]
        if record["kind"] != "given":
            refiner.features_ = load_saved(record, opened.folder / "features")
        elif "columns" in record:
            refiner.feature_names_in_ = np.array(record["columns"], dtype=object)
        refiner._set_results(iterations, np.empty((0, 0)))
        frozen = isinstance(refiner.classifier_, FeatureClassifier)
        refiner.n_features_in_ = len(refiner.classifier_.moments()[0]) if frozen else None
        return refiner

    def _read(self, X: Any, n: int) -> tuple[list[str] | None, Any]:
        texts, matrix = texts_or_matrix(X)
        self._widths = widths_of(X)
        self._check_names(X if texts is None else None, reset=True)
        length = len(matrix) if texts is None else len(texts)
        if length != n:
            raise InputError(f"X has {length:,} rows, the labels {n:,}")
        if self.classifier != "frozen":
            if texts is None:
                raise InputError(f"classifier {self.classifier!r} reads texts; give texts, not features")
            self.features_ = TokenFeatures(str(self.model), self.max_length, self.prompt)
        elif texts is not None:
            self.features_ = features_of(self.features)
        elif hasattr(self, "features_"):
            del self.features_  # of an earlier fit
        return texts, matrix

    def _set_results(self, iterations: list[Iteration], matrix: NDArray[Any]) -> None:
        self.best_iteration_ = best_iteration(iterations)
        self.verdict_ = verdict_of(iterations)
        self.classifier_iteration_ = last_iteration(iterations)
        best, last = iterations[self.best_iteration_], iterations[self.classifier_iteration_]
        self.labels_ = self.classes_[np.where(best.labels < 0, last.labels, best.labels)]
        self.scores_ = last.scores if best.scores is None else best.scores
        if self.scores_ is None:
            self.scores_ = self.classifier_.predict_proba(matrix)
        if self.verdict_.kept == "llm":
            self.scores_ = self._scores_of_llm(best.labels, best.priors, self.scores_)
        self.priors_ = best.priors
        self.theta_ = None if best.priors is None else best.priors.theta
        self.class_prior_ = None if best.priors is None else best.priors.class_prior
        names = ("labels", "priors", "metrics")
        self.history_: list[dict[str, Any]] = [{name: getattr(each, name) for name in names} for each in iterations]
