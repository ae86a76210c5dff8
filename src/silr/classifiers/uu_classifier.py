"""The estimator under the loop: one fit under a UU risk, as a scikit-learn classifier."""

from dataclasses import fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from silr.errors import InputError
from silr.extras import needs
from silr.io.inputs import dense_matrix
from silr.stats.losses import LEAK, Correction, Loss

VALIDATION_SHARE = 1 / 8


class UUClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifier trained on pseudo-labels whose error rates are known, by empirical UU risk minimisation.

    Parameters
    ----------
    theta : array-like of shape (K, K), default None
        Share of true class k (column) among the texts with pseudo-label j (row), classes in sorted order. None: the
        labels are taken as true (the identity), which is ordinary supervised learning.
    class_prior : array-like of shape (K,), default None
        Share of each class in the corpus. None: ``q @ theta``, with q the shares of the pseudo-labels.
    loss : {"sigmoid", "logistic"}, default "sigmoid"
    correction : {"none", "leaky", "relu", "abs"}, default "none"
        What is done to a negative partial risk; see `silr.stats.uu_risk.UURisk`. The paper uses "leaky".
    leak : float, default -0.001
        Lambda of the correction "leaky".
    match_prior : bool, default True
        Shift the scores after the fit so that each class is predicted as often as `class_prior` says.
    hidden_units : int, default 0
        0 is a linear head, else one hidden layer of that many units.
    epochs : int, default None
        None: as many as make about 250 steps.
    batch_size : int, default None
        None: a 25th of the training rows, at least 256 and at most 4096.
    learning_rate : float, default 1e-3
    weight_decay : float, default 0.01
    random_state : int, RandomState instance or None, default None
        An int makes the fit reproducible on one machine.
    device : str, default None
        None: the GPU if there is one, else the processor.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    class_prior_ : ndarray of shape (K,)
    n_features_in_ : int
    history_ : dict
        ``train_risk`` and ``validation_risk`` by epoch and the ``best_epoch``.

    Notes
    -----
    ``score(X, y)`` is the accuracy against the y that it is given: true labels, or it is the agreement with the
    pseudo-labels. There is no ``sample_weight`` in `fit`: theta and the class prior describe sets of texts that count
    alike, and with other weights they would be other sets.

    References
    ----------
    Lu et al., ICLR 2019 (arXiv 1808.10585); Lu et al., AISTATS 2020 (arXiv 1910.08974); Asano, Kozuno, Baba, NeurIPS
    2025 (arXiv 2502.12565).

    Examples
    --------
    >>> import numpy as np
    >>> from silr import UUClassifier
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=2000)
    >>> X = rng.normal(size=(2000, 5)) + truth[:, None]
    >>> biased = np.where(rng.random(2000) < 0.6, 1, truth)  # calls most of the 0s a 1
    >>> theta = [[(truth[biased == j] == k).mean() for k in (0, 1)] for j in (0, 1)]
    >>> model = UUClassifier(theta, random_state=0).fit(X, biased)
    >>> bool(model.score(X, truth) > 0.8)
    True
    """

    def __init__(
        self,
        theta: ArrayLike | None = None,
        class_prior: ArrayLike | None = None,
        *,
        loss: Loss = "sigmoid",
        correction: Correction = "none",
        leak: float = LEAK,
        match_prior: bool = True,
        hidden_units: int = 0,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        random_state: int | np.random.RandomState | None = None,
        device: str | None = None,
    ) -> None:
        self.theta = theta
        self.class_prior = class_prior
        self.loss = loss
        self.correction = correction
        self.leak = leak
        self.match_prior = match_prior
        self.hidden_units = hidden_units
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to features and pseudo-labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            float16 to float64; memory maps are read in place, sparse matrices become dense.
        y : array-like of shape (n_samples,)
            Pseudo-labels of any type; every class of theta must occur.

        Raises
        ------
        InputError
            Fewer than two classes, theta or class_prior of the wrong shape, a singular theta, non-finite features.
        """
        with needs("uu", "UUClassifier"):
            from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
            from silr.stats.uu_risk import UURisk
        matrix, y = self._features(X, y=y, reset=True)
        check_classification_targets(y)
        self.classes_, positions = np.unique(y, return_inverse=True)
        codes = positions.astype(np.int16)
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise InputError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        theta = np.eye(n_classes) if self.theta is None else np.asarray(self.theta, dtype=np.float64)
        if theta.shape != (n_classes, n_classes):
            raise InputError(f"theta has shape {theta.shape}, but {n_classes} classes occur in y")
        share = np.bincount(codes) / len(codes)
        self.class_prior_ = share @ theta if self.class_prior is None else np.asarray(self.class_prior, np.float64)
        risk = UURisk(theta, self.class_prior_, self.loss, self.correction, self.leak)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        config = FrozenConfig(**{field.name: getattr(self, field.name) for field in fields(FrozenConfig)})
        self.head_ = FrozenClassifier(config, self.device)
        self.history_ = self.head_.fit(matrix, codes, risk, _held_out(codes, seed), seed).to_dict()
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Class logits, shape (n_samples, K); for two classes the logit of ``classes_[1]``, shape (n_samples,)."""
        check_is_fitted(self)
        scores = self.head_.decision_scores(self._features(X))
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Class scores that sum to 1, shape (n_samples, K)."""
        check_is_fitted(self)
        return self.head_.predict_proba(self._features(X))

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Labels, shape (n_samples,)."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.head_.decision_scores(self._features(X)).argmax(axis=1)])

    def _features(self, X: ArrayLike, y: Any = "no_validation", reset: bool = False) -> Any:
        """Check the input without a copy if it is dense; finite values are checked in chunks."""
        types = [np.float32, np.float64, np.float16]
        checked = validate_data(self, X, y, accept_sparse="csr", reset=reset, dtype=types, ensure_all_finite=False)
        if isinstance(checked, tuple):
            return dense_matrix(checked[0], "Input X"), checked[1]
        return dense_matrix(checked, "Input X")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _held_out(codes: NDArray[np.int16], seed: int) -> NDArray[np.bool_]:
    """An eighth of each class at random; a class of fewer than eight rows is all for training."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(len(codes), dtype=bool)
    for code in range(codes.max() + 1):
        members = rng.permutation(np.flatnonzero(codes == code))
        mask[members[: int(len(members) * VALIDATION_SHARE)]] = True
    return mask
