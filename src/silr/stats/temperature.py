"""Temperature and biases that make scores the probabilities of classes."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from silr.stats.contrasts import Floats, Numbers, contrasts, logits


def bias_corrected_temperature(contrast: Floats, soft: Floats) -> tuple[float, Numbers]:
    """Scale a and shift b such that the softmax of ``a contrast + b`` has the least cross-entropy to soft labels.

    Parameters
    ----------
    contrast : ndarray of shape (n, T)
        Contrasts of the classes, as in `silr.stats.contrasts`, of about unit deviation.
    soft : ndarray of shape (n, K)
        Class probabilities.

    Returns
    -------
    scale : float
        At least 0.
    shift : ndarray of shape (T,)
        The mean of the fitted probabilities is that of the soft labels.

    References
    ----------
    Alexandari, Kundaje, Shrikumar, "Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift
    adaptation", ICML 2020.
    """
    values, target = logits(np.asarray(contrast, np.float64)), np.asarray(soft, np.float64)

    def cross_entropy(parameters: Numbers) -> tuple[float, Numbers]:
        scores = parameters[0] * values + parameters[1:]
        log_p = scores - logsumexp(scores, axis=1, keepdims=True)
        away = np.exp(log_p) - target
        gradient = np.concatenate([[(away * values).sum()], away.sum(axis=0)])
        return -float((target * log_p).sum()) / len(values), gradient / len(values)

    start = np.concatenate([[1.0], np.log(np.maximum(target.mean(axis=0), 1e-6))])
    bounds = [(0.0, None), *[(None, None)] * target.shape[1]]
    fitted = minimize(cross_entropy, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(fitted[0]), contrasts(fitted[None, 1:])[0]
