"""Methods "uu" and "paper": fit a fresh classifier under the UU risk of the labels, relabel everything, repeat."""

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from silr.classifiers.base import Classifier
from silr.errors import InputError, NoSignalError
from silr.extras import needs
from silr.io.files import Json
from silr.io.label_codes import check_gold, check_occurring, check_shapes
from silr.refine.iteration import Iteration, Notes
from silr.refine.method import Context, Method, Step, derived_seed, held_out, most_likely
from silr.refine.problem import Labels, Problem
from silr.refine.tuning import FineTuned, check_at_least, check_choice, check_rate
from silr.stats.losses import LEAK, Correction, Loss
from silr.stats.priors import Priors, check_signal, given_priors, priors_from_truth

RATE = 1e-3
OF_THE_HEAD = ("hidden_units", "epochs", "learning_rate", "batch_size")  # a fine-tuned model has its own


class UU(Method):
    """Robust unlabelled-unlabelled learning, iterated: the unbiased risk, thresholds set by the class prior.

    Parameters
    ----------
    iterations : int, default 5
    loss : {"sigmoid", "logistic"}, default "sigmoid"
    correction : {"none", "leaky", "relu", "abs"}, default None
        Of a negative partial risk, see `silr.stats.uu_risk.UURisk`. None: "none", of `Paper` "leaky".
    leak : float, default -0.001
        Lambda of the correction "leaky".
    hidden_units : int, default 0
        0 is a linear head on frozen features, else one hidden layer of that many units.
    epochs : int, default None
        Of the head. None: as many as make about 250 steps.
    learning_rate : float, default None
        Of the head. None: 1e-3.
    batch_size : int, default None
        Of the head. None: a 25th of the training texts, at least 256 and at most 4096.
    priors : {"gold", "oracle"}, default "gold"
        Where theta and the class prior come from. "oracle" takes all true labels: for research only.
    theta : array-like of shape (K, K), default None
        Share of true class k (column) among the texts with LLM label j (row), classes in order, if it is known from
        elsewhere. It describes the LLM's labels only: without gold labels there is one iteration.
    class_prior : array-like of shape (K,), default None
        With `theta`; None: ``q @ theta``, with q the shares of the LLM's labels.

    References
    ----------
    Lu et al., ICLR 2019 (arXiv 1808.10585). Asano, Kozuno, Baba, NeurIPS 2025 (arXiv 2502.12565).

    Examples
    --------
    >>> from silr import UU, LabelRefiner
    >>> LabelRefiner(UU(loss="logistic")).get_params()["method__loss"]
    'logistic'
    """

    name: ClassVar[str] = "uu"
    takes_several: ClassVar[bool] = False
    reads_scores: ClassVar[bool] = False
    weighs_llm: ClassVar[bool] = False
    usual_correction: ClassVar[Correction] = "none"

    def __init__(
        self,
        iterations: int = 5,
        *,
        loss: Loss = "sigmoid",
        correction: Correction | None = None,
        leak: float = LEAK,
        hidden_units: int = 0,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        priors: Literal["gold", "oracle"] = "gold",
        theta: ArrayLike | None = None,
        class_prior: ArrayLike | None = None,
    ) -> None:
        self.iterations = iterations
        self.loss = loss
        self.correction = correction
        self.leak = leak
        self.hidden_units = hidden_units
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.priors = priors
        self.theta = theta
        self.class_prior = class_prior

    def check_settings(self, tuning: FineTuned | None) -> None:
        """Refuse settings that are none of their choices, or too small."""
        check_choice("priors", self.priors, ("gold", "oracle"))
        check_choice("loss", self.loss, get_args(Loss))
        if self.correction is not None:
            check_choice("correction", self.correction, get_args(Correction))
        check_at_least(1, iterations=self.iterations)
        check_at_least(0, hidden_units=self.hidden_units)
        check_at_least(1, epochs=self.epochs, batch_size=self.batch_size)
        check_rate(self.learning_rate)
        if self.class_prior is not None and self.theta is None:
            raise InputError("class_prior describes the corpus together with theta; give theta too, or neither")
        if tuning is not None:
            for name in OF_THE_HEAD:
                if getattr(self, name):
                    raise InputError(f"{name} is for the classifier 'frozen'; this one is {tuning.tuning!r}")

    def check(self, problem: Problem, context: Context) -> None:
        """Refuse several LLMs, labels of one class, and too few gold labels."""
        names = problem.class_names
        check_shapes(None, self.theta, len(problem), names)
        if self.priors == "oracle" and problem.truth is None:
            raise InputError("priors='oracle' takes them from the truth: give it")
        if len(problem.annotators) > 1:
            llms = ", ".join(annotator.name for annotator in problem.annotators)
            raise InputError(
                f"there are labels of {len(problem.annotators)} LLMs ({llms}), but methods uu and paper, theta and "
                "oracle priors take one: choose it"
            )
        if self.priors == "gold" and (self.theta is None or problem.has_gold):
            check_gold(problem.gold_codes, names)
        check_occurring(problem.llm, problem.gold_codes, names)

    def settings(self, tuning: FineTuned | None) -> Json:
        """The parameters that decide a result, as JSON values."""
        values: Json = self.get_params()
        del values["iterations"]
        for name in OF_THE_HEAD if tuning is not None else ():
            del values[name]
        for name in ("theta", "class_prior"):
            values[name] = None if values[name] is None else np.asarray(values[name], dtype=np.float64).tolist()
        values["correction"] = self.correction or self.usual_correction
        if tuning is None:
            values["learning_rate"] = self.learning_rate or RATE
        return values

    def iterations_for(self, problem: Problem, context: Context) -> int:
        """As many as were asked for; one where only theta is known."""
        return 1 if self.theta is not None and self.priors == "gold" and not problem.has_gold else self.iterations

    def estimate(self, problem: Problem, labels: Labels, number: int) -> Priors | None:
        """What theta, the truth or the gold labels say of the labels."""
        labelled = labels >= 0
        if self.theta is not None and number == 0:
            return given_priors(self.theta, self.class_prior, labels[labelled])
        if self.priors == "oracle" and problem.truth is not None:
            labelled &= problem.truth >= 0
            return priors_from_truth(labels[labelled], problem.truth[labelled], problem.n_classes)
        return problem.estimate(labels)

    def start(self, problem: Problem, context: Context) -> Iteration:
        """Iteration 0, if its sets can be told apart."""
        start = super().start(problem, context)
        if start.priors is None:
            raise InputError("nothing is known about the LLM's labels: give gold labels, or theta")
        check_signal(start.priors, problem.class_names)
        return start

    def steps(self, problem: Problem, done: Sequence[Iteration], context: Context) -> Iterator[Step]:
        """Fit, relabel, estimate; stop where the labels have lost their signal."""
        with needs("uu", "a method with the UU risk"):
            from silr.stats.uu_risk import UURisk

        new_classifier = self._new_classifiers(problem, context)
        validation, before = held_out(len(problem), problem.seed), done[-1]
        correction = self.correction or self.usual_correction
        for number in range(len(done), self.iterations_for(problem, context) + 1):
            if before.priors is None or before.notes.stopped is not None:
                return
            classifier = new_classifier(number)
            risk = UURisk(before.priors.theta, before.priors.class_prior, self.loss, correction, self.leak)
            seed = derived_seed(problem.seed, number)
            fit = classifier.fit(problem.X, before.labels, risk, validation, seed, context.steps_of(number))
            scores = classifier.predict_proba(problem.X)
            labels = most_likely(scores)
            priors = self.estimate(problem, labels, number)
            notes = Notes("iteration", fit=fit, stopped=_lost_signal(priors, problem.class_names))
            before = Iteration(number, labels, scores, priors, notes)
            yield before, classifier

    def _new_classifiers(self, problem: Problem, context: Context) -> Callable[[int], Classifier]:
        """What gives a fresh classifier for an iteration; the corpus's moments are computed once."""
        if context.tuning is not None:
            return context.tuning.new_classifiers(self, problem.n_classes, context.device, context.checkpoints)
        from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
        from silr.classifiers.standardise import Standardiser

        config = FrozenConfig(
            hidden_units=self.hidden_units,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate or RATE,
            match_prior=self.match_prior,
        )
        standardiser = Standardiser.of(problem.matrix)
        return lambda number: FrozenClassifier(config, context.device, standardiser)


class Paper(UU):
    """The recipe of Asano et al.: leaky correction, thresholds as the fit leaves them.

    A fine-tuned model starts from a head of 0 and learns for 3 epochs, its adapters with a learning rate of 1e-4.
    Parameters are those of `UU`.

    References
    ----------
    Asano, Kozuno, Baba, "Self Iterative Label Refinement via Robust Unlabeled Learning", NeurIPS 2025 (arXiv
    2502.12565).

    Examples
    --------
    >>> from silr import FineTuned, LabelRefiner, Paper
    >>> refiner = LabelRefiner(Paper(iterations=5), FineTuned("meta-llama/Llama-3.2-1B", "qlora"))
    """

    name: ClassVar[str] = "paper"
    takes_prompt: ClassVar[bool] = False
    usual_correction: ClassVar[Correction] = "leaky"
    match_prior: bool = False
    linear_probe: bool = False
    tuning_epochs: int = 3
    adapter_rate: float | None = 1e-4


def _lost_signal(priors: Priors | None, names: list[str]) -> str | None:
    """Why the sets can no longer be told apart, if they cannot."""
    if priors is None:
        return None
    try:
        check_signal(priors, names)
    except NoSignalError as error:
        return str(error)
    return None
