"""Self-training from the LLM's scores, with class shares that are guessed and kept.

An LLM that calls nearly everything positive can still order the texts well: its scores are right up to a threshold for
each class. The thresholds need the class shares. A mixture of normal densities with one covariance, one for each class,
fitted to the LLM's margins, gives one guess, the mean of the LLM's probabilities another, even shares a third; the mean
of the three has nobody's worst case. From there on, ridge regressions of the soft labels on the features, each with the
thresholds that keep the guessed shares, average out the errors of single texts.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from scipy.special import softmax

from silr.stats.annotator_evidence import Scale
from silr.stats.contrasts import Floats, Numbers, as_targets, contrasts, logits, probabilities
from silr.stats.prior_matching import soft_prior_offsets
from silr.stats.ridge import Ridge, StandardisedMatrix, Student

LOGIT_DEVIATION = 4.0  # of the difference of two classes, where it becomes a soft label
LEAST_SHARE = 0.02


def self_train(X: StandardisedMatrix, ridge: Ridge, llm_scores: Numbers) -> Iterator[Student]:
    """One round after another, without end, from log-probabilities, shape (n, K), that are not constant; NaN for none.

    The map of a student leads to `LOGIT_DEVIATION` times contrasts, with the shift that gives their probabilities the
    guessed shares.
    """
    shares = guessed_shares(llm_scores[np.isfinite(llm_scores).all(axis=1)])
    values: Floats = LOGIT_DEVIATION * Scale.of(llm_scores)(llm_scores)
    shift = _shift(values, shares)
    while True:
        student = ridge.student(as_targets(probabilities(values + shift)).astype(np.float32))
        values = LOGIT_DEVIATION * student.contrasts
        shift = _shift(values, shares)
        yield Student(student.contrasts, LOGIT_DEVIATION * student.weight, LOGIT_DEVIATION * student.intercept + shift)


def _shift(values: Floats, shares: Numbers) -> Numbers:
    """Contrasts that give probabilities the class shares."""
    return np.asarray(contrasts(soft_prior_offsets(logits(values), shares)[None])[0])


def guessed_shares(llm_scores: Numbers) -> Numbers:
    """The class shares, shape (K,), from the LLM's log-probabilities, shape (n, K).

    The mean of three guesses: even shares of the classes that are the LLM's answer to some text, or of all if it has
    one answer; the mean of the LLM's probabilities; and those of a mixture of normal densities with one covariance,
    fitted to the standardised scores, which start at the texts that speak most for a class. At
    least 2 % each.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    scores = logits(Scale.of(llm_scores)(llm_scores)).astype(np.float64)
    n_classes = scores.shape[1]
    components, component = np.unique(scores.argmax(axis=1), return_inverse=True)
    margins = scores[:, 1:] - scores[:, :1]
    means = np.vstack([margins[component == place].mean(axis=0) for place in range(len(components))])
    within = margins - means[component]
    covariance = within.T @ within / len(margins) + 1e-6 * np.eye(n_classes - 1)
    model = GaussianMixture(
        len(components),
        covariance_type="tied",
        weights_init=np.bincount(component) / len(component),
        means_init=means,
        precisions_init=np.linalg.inv(covariance),
        init_params="random",  # nothing is left to chance, but the usual way would cluster the texts first
        random_state=0,
        max_iter=200,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a guess need not be more exact
        mixture = np.bincount(components[model.fit(margins).predict(margins)], minlength=n_classes) / len(margins)
    answered = np.bincount(llm_scores.argmax(axis=1), minlength=n_classes) > 0
    even = answered / answered.sum() if answered.sum() > 1 else np.full(n_classes, 1 / n_classes)
    shares = np.maximum((mixture + softmax(llm_scores, axis=1).mean(axis=0) + even) / 3, LEAST_SHARE)
    return np.asarray(shares / shares.sum())
