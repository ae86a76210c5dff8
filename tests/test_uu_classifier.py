import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from silr import UUClassifier


@parametrize_with_checks([UUClassifier(random_state=0)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
