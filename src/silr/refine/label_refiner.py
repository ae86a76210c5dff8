"""All methods as one scikit-learn estimator, with or without a run directory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_random_state

from silr.classifiers.base import Classifier
from silr.classifiers.choose import load_classifier
from silr.classifiers.linear import FeatureClassifier
from silr.errors import InputError
from silr.features.choose import Spec, features_of, features_of_run
from silr.features.default import default_features, what_is_lost
from silr.features.joined import groups_of
from silr.features.on_workers import MakePieces
from silr.features.saved import load_saved
from silr.hf.distributed import wait_for_all
from silr.hf.tokens import TokenFeatures
from silr.io.corpus import corpus_hash, digest
from silr.io.files import Json
from silr.io.inputs import texts_or_matrix, widths_of
from silr.io.label_codes import check_shapes, encode_columns, llm_columns, llm_score_arrays
from silr.refine.fitted import FittedRefiner
from silr.refine.iteration import Iteration
from silr.refine.method import Context, Method, OnStep, refine
from silr.refine.options import as_method, as_tuning, configuration, from_options
from silr.refine.problem import Problem, warn_of_scores
from silr.refine.refinement import Refinement
from silr.refine.run import Run
from silr.refine.tuning import FineTuned
from silr.stats.annotator_evidence import Annotator
from silr.stats.gold_weights import given_weights


class LabelRefiner(FittedRefiner, BaseEstimator):  # type: ignore[misc]
    """Turns the biased labels of one LLM or several into better labels and a classifier.

    Parameters
    ----------
    method : {"silr", "uu", "paper"} or Method, default "silr"
        "silr" is the posterior from all evidence: what the LLMs say of a text, what the features say of texts like it,
        and the gold labels. "uu" is robust unlabelled-unlabelled learning, iterated, and "paper" the recipe of Asano et
        al. `silr.UU` and `silr.Paper` have their settings, such as ``UU(loss="logistic", theta=...)``.
    classifier : "frozen" or FineTuned, default "frozen"
        A head on frozen features, or a pretrained model that is fine-tuned on the texts: `silr.FineTuned` names it.
    features : str, Path, ApiFeatures or sequence of them, default None
        How texts become features, if `fit` is given texts: "tfidf" (of words and of characters), a
        sentence-transformers folder or name, ``static:MODEL`` of model2vec, ``api:MODEL`` (or `silr.ApiFeatures`, with
        the server's address), or a ``.npy`` file with one row a text. Several are put side by side. None: as `silr
        refine` chooses, sentence embeddings and TF-IDF with method "silr" where an encoder is at hand, else TF-IDF,
        with a warning that says what is lost.
    run : str or Path, default None
        Run directory that keeps every iteration. An interrupted `fit` goes on where it stopped.
    random_state : int, RandomState instance or None, default 0
        Anything but an int draws a seed, so that a run can't be resumed.
    device : str, default None
        None: the GPU if there is one, else the processor.

    Attributes
    ----------
    result_ : Refinement
        The iterations, the number of the best and what is known of each.
    labels_ : ndarray of shape (n,)
        The refined labels; of gold texts the gold label, as in ``labels.csv``.
    scores_ : float32 ndarray of shape (n, K)
        Class probabilities of `labels_`, 1 for a gold label; rows of `theta_` where the LLM's labels are the result.
    out_of_fold_labels_, out_of_fold_scores_ : ndarrays of shape (n,) and (n, K)
        The same with what gold texts would be labelled without their own gold label: these may be scored.
    theta_ : ndarray of shape (K, K)
        Share of true class k inside the texts with refined label j, estimated.
    class_prior_ : ndarray of shape (K,)
    priors_ : Priors
        Both, and the accuracy, with intervals. All three are None if only theta was given.
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

    def __init__(
        self,
        method: str | Method = "silr",
        classifier: str | FineTuned = "frozen",
        *,
        features: Spec | Sequence[Spec] | None = None,
        run: str | Path | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str | None = None,
    ) -> None:
        self.method = method
        self.classifier = classifier
        self.features = features
        self.run = run
        self.random_state = random_state
        self.device = device

    @classmethod
    def from_options(
        cls,
        *,
        features: Spec | Sequence[Spec] | None = None,
        run: str | Path | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str | None = None,
        **options: Any,
    ) -> LabelRefiner:
        """The refiner that flat options describe, by the names of the command line.

        Parameters
        ----------
        features, run, random_state, device
            As of the class.
        **options
            ``method``, ``classifier`` ("frozen", "lora", "qlora" or "full"), and settings of `silr.UU` or
            `silr.FineTuned`, such as ``loss="logistic"`` or ``model="FOLDER"``.

        Raises
        ------
        InputError
            An option is one of another method or classifier.
        """
        method, classifier = from_options(options)
        return cls(method, classifier, features=features, run=run, random_state=random_state, device=device)

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
            True labels. They only score the iterations (``true_accuracy`` in `history_`), unless the method takes
            oracle priors.
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
        as_method(self.method).check_settings(as_tuning(self.classifier))
        columns = llm_columns(y)
        llm_names = list(columns)
        kept, labels, gold_codes, true_codes = encode_columns(list(columns.values()), gold, truth, classes, llm_names)
        class_names = [str(name) for name in kept]
        scores = llm_score_arrays(llm_scores, llm_names, class_names)
        for array in scores:
            check_shapes(array, None, len(gold_codes), class_names)
        problem = Problem(
            kept,
            list(map(Annotator, labels, scores, llm_names)),
            gold_codes,
            None if gold_weight is None else np.asarray(gold_weight),
            None if truth is None else true_codes,
        )
        return self.fit_problem(X, problem, on_iteration=on_iteration, on_step=on_step)

    def fit_problem(
        self,
        X: ArrayLike | Sequence[str],
        problem: Problem,
        *,
        on_iteration: Callable[[Iteration], None] | None = None,
        on_step: OnStep | None = None,
        make_pieces: MakePieces | None = None,
    ) -> Self:
        """Refine labels that are codes already; see `fit`. The problem is without texts and features.

        `make_pieces`, that of `silr.io.engines` with its engine, computes the features of texts in pieces.
        """
        method, tuning = as_method(self.method), as_tuning(self.classifier)
        method.check_settings(tuning)
        if tuning is not None:
            tuning.check()
        if problem.gold_weight is not None:
            given_weights(problem.gold_weight, np.flatnonzero(problem.gold_codes >= 0), len(problem))  # refuses others
        self.classes_, self.llm_names_ = problem.classes, [annotator.name for annotator in problem.annotators]
        warn_of_scores(problem.annotators)
        context = Context(tuning, self.device, None, on_step)
        method.check(problem, context)
        seed = _seed(self.random_state)
        texts, matrix = self._read(X, len(problem), method, tuning)
        seen = on_iteration or (lambda iteration: None)
        problem = replace(problem, seed=seed, texts=texts)
        with_features = partial(self._with_features, problem, widths=widths_of(X))
        if self.run is None:
            problem = with_features(matrix if texts is None else self.features_.fit_transform(texts))
            classifiers: dict[int, Classifier | None] = {}

            def keep(iteration: Iteration, classifier: Classifier | None) -> None:
                classifiers[iteration.number] = classifier
                classifiers.pop(iteration.number - 2, None)  # the result is the last one or the one before
                seen(iteration)

            result = Refinement(refine(method, problem, [], keep, context), problem.class_names)
            self.classifier_ = classifiers[result.classifier_iteration]
        else:
            identity = self._identity(method, tuning, problem, matrix)
            about = {"gold": int((problem.gold_codes >= 0).sum()), "texts": len(problem)}
            with Run.start(self.run, identity, about) as run:

                def store(iteration: Iteration, classifier: Classifier | None) -> None:
                    run.save_iteration(iteration, classifier)
                    seen(iteration)

                run.save_gold(problem.gold_codes)
                done = run.iterations()
                wait_for_all()  # nobody writes before all have read
                if len(done) > method.iterations_for(problem, context) + 1:
                    raise InputError(f"{run.folder} has {len(done) - 1} iterations already; ask for as many or more")
                if texts is not None:
                    self.features_, matrix = features_of_run(
                        self.features_, texts, run.folder / "features", make_pieces
                    )
                problem = with_features(matrix)
                context = replace(context, checkpoints=run.checkpoints)
                result = Refinement(refine(method, problem, done, store, context), problem.class_names)
            self.classifier_ = load_classifier(run.iteration_folder(result.classifier_iteration), self.device)
        self._set_result(result, problem.X, problem.gold_codes)
        self.n_features_in_ = problem.X.shape[1] if isinstance(problem.X, np.ndarray) else None
        return self

    def _with_features(self, problem: Problem, X: Any, widths: Sequence[int] | None) -> Problem:
        """With what the classifier reads, and the columns of each kind of features."""
        if not isinstance(X, np.ndarray):
            return replace(problem, X=X)
        return replace(problem, X=X, groups=groups_of(getattr(self, "features_", None), X.shape[1], widths))

    def _identity(
        self, method: Method, tuning: FineTuned | None, problem: Problem, matrix: NDArray[np.generic]
    ) -> Json:
        """All that decides a run's result."""
        texts = problem.texts
        oracle = method.get_params().get("priors") == "oracle"
        used: list[Any] = [annotator.labels for annotator in problem.annotators]
        used += [problem.gold_codes, problem.gold_weight, problem.truth if oracle else None]
        used += [annotator.scores for annotator in problem.annotators] if method.reads_scores else []
        return {
            "configuration": configuration(method, tuning, problem.seed),
            "classes": problem.class_names,
            "annotators": self.llm_names_,
            "input": digest(matrix if texts is None else corpus_hash(texts), *used),
            "features": self.features_.record if texts is not None else self._given_features(),
        }

    @classmethod
    def load(cls, run: str | Path, device: str | None = None) -> LabelRefiner:
        """The fitted refiner of a finished run, with classes as strings.

        Raises
        ------
        InputError
            `run` is not a run or not finished, or the model under it is another one now.
        """
        opened = Run(run)
        result = opened.result()
        result.check_finished(opened.folder)
        identity = opened.manifest["identity"]
        refiner = cls(run=str(run), device=device)
        refiner.classes_ = np.array(identity["classes"])
        refiner.llm_names_ = identity.get("annotators", [""])
        refiner.classifier_ = load_classifier(opened.iteration_folder(result.classifier_iteration), device)
        record = identity["features"]
        if record["kind"] != "given":
            refiner.features_ = load_saved(record, opened.folder / "features")
        elif "columns" in record:
            refiner.feature_names_in_ = np.array(record["columns"], dtype=object)
        refiner._set_result(result, np.empty((0, 0)), opened.gold())
        frozen = isinstance(refiner.classifier_, FeatureClassifier)
        refiner.n_features_in_ = len(refiner.classifier_.moments()[0]) if frozen else None
        return refiner

    def _read(self, X: Any, n: int, method: Method, tuning: FineTuned | None) -> tuple[Sequence[str] | None, Any]:
        texts, matrix = texts_or_matrix(X)
        self._check_names(X if texts is None else None, reset=True)
        length = len(matrix) if texts is None else len(texts)
        if length != n:
            raise InputError(f"X has {length:,} rows, the labels {n:,}")
        if tuning is not None:
            if texts is None:
                raise InputError(f"classifier {tuning.tuning!r} reads texts; give texts, not features")
            self.features_ = TokenFeatures(str(tuning.model), tuning.max_length, tuning.prompt)
        elif texts is not None:
            self.features_ = features_of(_default(method) if self.features is None else self.features)
        elif hasattr(self, "features_"):
            del self.features_  # of an earlier fit
        return texts, matrix


def _default(method: Method) -> str | list[str]:
    """The features of texts where nobody names any; a warning says what is lost by TF-IDF alone."""
    if not method.weighs_llm:
        return "tfidf"
    specs = default_features([], lambda line: None)
    if len(specs) > 1:
        return specs
    warnings.warn(f"features: TF-IDF alone. {what_is_lost(command=False)}", stacklevel=5)
    return specs[0]


def _seed(state: int | np.random.RandomState | None) -> int:
    return int(state) if isinstance(state, (int, np.integer)) else int(check_random_state(state).randint(2**31 - 1))
