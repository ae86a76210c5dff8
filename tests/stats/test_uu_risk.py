"""The UU risk, against the binary closed form, a linear solve, finite differences, quadrature and Monte-Carlo."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from silr.errors import InputError
from silr.stats.uu_risk import LEAK, UURisk, class_losses, uu_weights

LOSSES = ("sigmoid", "logistic")
CORRECTIONS = ("none", "leaky", "relu", "abs")
FACTOR = {"none": 1.0, "leaky": LEAK, "relu": 0.0, "abs": -1.0}  # what multiplies a negative partial risk

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small batches are several times faster without sharing them among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def losses_of(logits: Array, loss: str) -> Array:
    """Loss of every row for every class, from the definition of softmax, in float64."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return 1 - shares if loss == "sigmoid" else -np.log(shares)


def partial_risks_of(logits: Array, labels: Array, theta: Array, prior: Array, loss: str) -> Array:
    """R_k by solving ``mean over U_j = sum_y Theta_jy E[. | y]`` for the expectations given y, without an inverse."""
    losses = losses_of(logits, loss)
    means = np.stack([losses[labels == j].mean(axis=0) for j in range(len(theta))])
    return prior * np.diag(np.linalg.solve(theta, means))


def corrected(partial: Array, correction: str) -> float:
    return float(np.where(partial > 0, partial, FACTOR[correction] * partial).sum())


def a_problem(seed: int, n_classes: int, n: int = 60) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """Theta, class prior, pseudo-labels (every class occurs) and logits."""
    rng = np.random.default_rng(seed)
    theta = 0.5 * np.eye(n_classes) + 0.5 * rng.dirichlet(np.ones(n_classes), size=n_classes)
    prior = rng.dirichlet(2 * np.ones(n_classes))
    labels = rng.permutation(np.arange(max(n, 2 * n_classes)) % n_classes)
    return theta, prior, labels, 2 * rng.normal(size=(len(labels), n_classes))


def value(risk: UURisk, logits: Array, labels: Array) -> float:
    return float(risk(torch.tensor(logits), torch.tensor(labels)))


# The four weights of the paper


@given(
    purity=st.floats(0.51, 1),
    impurity=st.floats(0, 0.49),
    prior=st.floats(0.01, 0.99),
)
def test_binary_weights_are_the_papers(purity: float, impurity: float, prior: float) -> None:
    theta, theta_ = purity, impurity
    D = theta - theta_
    a, c = (1 - theta_) * prior / D, (1 - theta) * prior / D
    d, b = theta * (1 - prior) / D, theta_ * (1 - prior) / D
    weights = uu_weights([[1 - theta_, theta_], [1 - theta, theta]], [1 - prior, prior])
    assert weights == pytest.approx(np.array([[d, -b], [-c, a]]), abs=1e-9)  # rows: the classes; columns: U', U


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_binary_risk_is_the_papers(loss: str, correction: str) -> None:
    prior, theta, theta_ = 0.3, 0.7, 0.1
    D = theta - theta_
    a, c = (1 - theta_) * prior / D, (1 - theta) * prior / D
    d, b = theta * (1 - prior) / D, theta_ * (1 - prior) / D
    signs = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(40) % 2)
        scores = 3 * rng.normal(size=40) + 4 * (seed % 3) * (2 * labels - 1)  # from chance to the labels repeated
        margins = {"+": scores, "-": -scores}
        ell = {
            sign: 1 / (1 + np.exp(margin)) if loss == "sigmoid" else np.log1p(np.exp(-margin))
            for sign, margin in margins.items()
        }
        U, U_ = labels == 1, labels == 0
        positive = a * ell["+"][U].mean() - c * ell["+"][U_].mean()
        negative = d * ell["-"][U_].mean() - b * ell["-"][U].mean()
        signs |= {positive > 0, negative > 0}
        expected = corrected(np.array([positive, negative]), correction)
        risk = UURisk([[1 - theta_, theta_], [1 - theta, theta]], [1 - prior, prior], loss, correction)
        assert value(risk, scores, labels) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert signs == {True, False}  # both sides of the correction were seen


# K classes


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3, 4, 7, 20, 50])
def test_risk_of_k_classes_is_that_of_a_linear_solve(n_classes: int, loss: str) -> None:
    theta, prior, labels, logits = a_problem(n_classes, n_classes)
    partial = partial_risks_of(logits, labels, theta, prior, loss)
    for correction in CORRECTIONS:
        risk = UURisk(theta, prior, loss, correction)
        assert value(risk, logits, labels) == pytest.approx(corrected(partial, correction), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_gradients_are_the_finite_differences(n_classes: int, loss: str, correction: str) -> None:
    signs = set()
    for seed in range(3):
        theta, prior, labels, logits = a_problem(100 + seed, n_classes, n=16)
        logits += 4 * np.eye(n_classes)[(labels + seed) % n_classes]  # right in one seed and wrong in the others
        partial = partial_risks_of(logits, labels, theta, prior, loss)
        assert np.abs(partial).min() > 1e-4  # the step below does not cross a kink
        signs |= set(partial > 0)
        variable = torch.tensor(logits, requires_grad=True)
        UURisk(theta, prior, loss, correction)(variable, torch.tensor(labels)).backward()
        numeric = np.empty_like(logits)
        for at in np.ndindex(logits.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = logits.copy()
                moved[at] += step
                ends.append(corrected(partial_risks_of(moved, labels, theta, prior, loss), correction))
            numeric[at] = (ends[0] - ends[1]) / 2e-5
        assert variable.grad.numpy() == pytest.approx(numeric, rel=1e-4, abs=1e-7)
    assert signs == {True, False}


@pytest.mark.parametrize("loss", LOSSES)
def test_pure_sets_are_supervised_learning(loss: str) -> None:
    rng = np.random.default_rng(5)
    labels, logits = rng.integers(3, size=50), rng.normal(size=(50, 3))
    shares = np.bincount(labels) / 50
    own_loss = losses_of(logits, loss)[np.arange(50), labels]
    for correction in CORRECTIONS:  # no partial risk is negative, so the correction does nothing
        assert value(UURisk(np.eye(3), shares, loss, correction), logits, labels) == pytest.approx(own_loss.mean())
    weighted = UURisk(np.eye(3), [0.2, 0.3, 0.5], loss)
    by_class = [own_loss[labels == k].mean() for k in range(3)]
    assert value(weighted, logits, labels) == pytest.approx(np.dot([0.2, 0.3, 0.5], by_class))


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_score_is_two_logits(loss: str, correction: str) -> None:
    theta, prior, labels, logits = a_problem(3, 2)
    risk = UURisk(theta, prior, loss, correction)
    two = torch.tensor(logits, requires_grad=True)
    score = torch.tensor(logits[:, 1] - logits[:, 0], requires_grad=True)
    column = torch.tensor((logits[:, 1] - logits[:, 0])[:, None])
    targets = torch.tensor(labels)
    of_two, of_score = risk(two, targets), risk(score, targets)
    assert of_two.item() == pytest.approx(of_score.item(), rel=1e-9)
    assert risk(column, targets).item() == of_score.item()
    of_two.backward()
    of_score.backward()
    assert two.grad[:, 1].numpy() == pytest.approx(score.grad.numpy(), abs=1e-12)
    assert two.grad[:, 0].numpy() == pytest.approx(-score.grad.numpy(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    n_classes=st.integers(2, 6),
    seed=st.integers(0, 2**16),
    loss=st.sampled_from(LOSSES),
    correction=st.sampled_from(CORRECTIONS),
    data=st.data(),
)
def test_names_of_classes_and_order_of_texts_do_not_matter(
    n_classes: int, seed: int, loss: str, correction: str, data: st.DataObject
) -> None:
    theta, prior, labels, logits = a_problem(seed, n_classes)
    order = np.array(data.draw(st.permutations(range(n_classes))))
    renamed = np.argsort(order)[labels]  # class order[i] is now called i
    texts = np.random.default_rng(seed).permutation(len(labels))
    risk = UURisk(theta, prior, loss, correction)
    again = UURisk(theta[np.ix_(order, order)], prior[order], loss, correction)
    assert value(again, logits[texts][:, order], renamed[texts]) == pytest.approx(
        value(risk, logits, labels), rel=1e-4, abs=1e-5
    )


@settings(max_examples=40, deadline=None)
@given(logits=hnp.arrays(np.float64, (7, 4), elements=st.floats(-30, 30)), shift=st.floats(-1e3, 1e3))
def test_losses_are_those_of_the_softmax(logits: Array, shift: float) -> None:
    for loss in LOSSES:
        losses = class_losses(torch.tensor(logits), loss).numpy()  # type: ignore[arg-type]
        assert losses == pytest.approx(losses_of(logits, loss), rel=1e-9, abs=1e-12)
        assert class_losses(torch.tensor(logits + shift), loss).numpy() == pytest.approx(losses, abs=1e-9)  # type: ignore[arg-type]


# Corrections


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), n_classes=st.integers(2, 5), loss=st.sampled_from(LOSSES))
def test_every_correction_is_a_leak(seed: int, n_classes: int, loss: str) -> None:
    theta, prior, labels, logits = a_problem(seed, n_classes)
    logits += 5 * np.eye(n_classes)[labels]  # fits the pseudo-labels: some partial risks are negative
    for name, leak in (("none", 1), ("relu", 0), ("abs", -1)):
        by_name, by_leak = UURisk(theta, prior, loss, name), UURisk(theta, prior, loss, "leaky", leak)
        assert value(by_name, logits, labels) == value(by_leak, logits, labels)
    none, relu, absolute = (value(UURisk(theta, prior, loss, c), logits, labels) for c in ("none", "relu", "abs"))
    assert none <= relu <= absolute
    assert relu >= 0


def test_the_papers_leak_turns_overfitting_back() -> None:
    """Below zero the risk falls no more: its gradient pushes the other way, a thousandth as strong."""
    theta, prior = [[0.9, 0.1], [0.4, 0.6]], [0.6, 0.4]
    scores, labels = torch.full((20,), -5.0), torch.tensor([0] * 18 + [1] * 2)
    scores[18:] = 5.0  # every pseudo-label is repeated with confidence
    gradients = {}
    for correction in ("none", "leaky"):
        risk = UURisk(theta, prior, "sigmoid", correction)
        partial = risk.partial_risks(*risk.set_sums(scores, labels))
        assert (partial < 0).all()
        variable = scores.clone().requires_grad_()
        risk(variable, labels).backward()
        gradients[correction] = variable.grad.numpy()
    assert gradients["leaky"] == pytest.approx(-0.001 * gradients["none"], rel=1e-5)
    assert np.abs(gradients["none"]).min() > 0


# Unbiasedness


def true_partial_risks(centres: Array, prior: Array, slopes: Array, loss: str) -> Array:
    """``pi_k E[ell(g(x), k) | y = k]`` for ``x | k ~ N(centre_k, 1)`` and ``g(x) = (x, 1) @ slopes``, by quadrature."""
    nodes, masses = np.polynomial.hermite_e.hermegauss(60)
    risks = []
    for k, centre in enumerate(centres):
        losses = losses_of(np.stack([nodes + centre, np.ones_like(nodes)], axis=1) @ slopes, loss)
        risks.append(prior[k] * (masses / masses.sum()) @ losses[:, k])
    return np.array(risks)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_uncorrected_risk_is_unbiased_on_mixtures(n_classes: int) -> None:
    rng = np.random.default_rng(1)
    theta = np.array([[0.8, 0.2], [0.45, 0.55]]) if n_classes == 2 else 0.6 * np.eye(4) + 0.1
    theta = 0.7 * theta + 0.3 * rng.dirichlet(np.ones(n_classes), size=n_classes)
    prior = np.array([0.7, 0.3] if n_classes == 2 else [0.4, 0.3, 0.2, 0.1])  # free of theta and of the sets' sizes
    centres, slopes = np.linspace(-2, 2, n_classes), rng.normal(size=(2, n_classes))
    risks = {
        (kind, loss): UURisk(matrix, prior, loss, "none")  # type: ignore[arg-type]
        for kind, matrix in (("uu", theta), ("naive", np.eye(n_classes)))
        for loss in LOSSES
    }
    estimates: dict[tuple[str, str], list[Array]] = {key: [] for key in risks}
    for _ in range(400):
        labels = np.repeat(np.arange(n_classes), rng.integers(5, 60, size=n_classes))
        truth = (theta[labels].cumsum(axis=1)[:, :-1] < rng.random((len(labels), 1))).sum(axis=1)
        x = centres[truth] + rng.normal(size=len(truth))
        logits = torch.tensor(np.stack([x, np.ones_like(x)], axis=1) @ slopes)
        for key, risk in risks.items():
            sums = risk.set_sums(logits, torch.tensor(labels))
            partial = risk.partial_risks(*sums).numpy()
            estimates[key].append(np.append(partial, float(risk.from_sums(*sums))))
    for (kind, loss), found in estimates.items():
        partial = true_partial_risks(centres, prior, slopes, loss)
        error = np.mean(found, axis=0) - np.append(partial, partial.sum())
        z = np.abs(error) / (np.std(found, axis=0, ddof=1) / np.sqrt(len(found)))
        if kind == "uu":
            assert z.max() < 4
        else:
            assert z.max() > 15  # the test can tell: plain training on these labels estimates something else


# Batches


@pytest.mark.parametrize("loss", LOSSES)
def test_a_set_without_a_text_adds_nothing(loss: str) -> None:
    theta, prior, labels, logits = a_problem(8, 4)
    keep = labels != 2
    weights = prior[:, None] * np.linalg.inv(theta)
    losses = losses_of(logits, loss)
    expected = sum(weights[k, j] * losses[labels == j, k].mean() for j in (0, 1, 3) for k in range(4))
    variable = torch.tensor(logits[keep], requires_grad=True)
    risk = UURisk(theta, prior, loss, "none")(variable, torch.tensor(labels[keep]))
    assert risk.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    risk.backward()
    assert torch.isfinite(variable.grad).all()


def test_one_text_and_no_text() -> None:
    risk = UURisk(np.eye(3), [0.2, 0.3, 0.5], "sigmoid", "none")
    assert value(risk, np.zeros((1, 3)), np.array([1])) == pytest.approx(0.3 * 2 / 3)
    assert value(risk, np.zeros((0, 3)), np.zeros(0, dtype=np.int64)) == 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n_classes=st.integers(2, 5),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    loss=st.sampled_from(LOSSES),
)
def test_sums_of_parts_are_the_sums_of_the_whole(seed: int, n_classes: int, cuts: list[int], loss: str) -> None:
    theta, prior, labels, logits = a_problem(seed, n_classes)
    risk = UURisk(theta, prior, loss)
    sums, sizes = torch.zeros(n_classes, n_classes), torch.zeros(n_classes)
    edges = [0, *sorted(cuts), len(labels)]
    for start, end in pairwise(edges):
        part = risk.set_sums(torch.tensor(logits[start:end]), torch.tensor(labels[start:end]))
        sums, sizes = sums + part[0], sizes + part[1]
    assert sizes.tolist() == np.bincount(labels, minlength=n_classes).tolist()
    assert float(risk.from_sums(sums, sizes)) == pytest.approx(value(risk, logits, labels), rel=1e-5, abs=1e-6)


# Numbers of every kind


@pytest.mark.parametrize("one_score", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_lose_nothing_but_their_own_digits(
    dtype: torch.dtype, loss: str, one_score: bool
) -> None:
    theta, prior, labels, logits = a_problem(11, 2, n=2000)
    risk = UURisk(theta, prior, loss)
    half = torch.tensor(logits[:, 0] if one_score else logits).to(dtype)
    values, gradients = [], []
    for variable in (half.clone().requires_grad_(), half.float().requires_grad_()):
        result = risk(variable, torch.tensor(labels))
        result.backward()
        assert result.dtype == torch.float32
        values.append(result.item())
        gradients.append(variable.grad.float().numpy())
    assert values[0] == values[1]
    digits = 2**-8 if dtype == torch.bfloat16 else 2**-11
    assert gradients[0] == pytest.approx(gradients[1], rel=digits, abs=1e-7)


def test_autocast_does_not_round_the_risk() -> None:
    theta, prior, labels, logits = a_problem(12, 3, n=300)
    risk = UURisk(theta, prior)
    outside = risk(torch.tensor(logits).float(), torch.tensor(labels))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = risk(torch.tensor(logits).float(), torch.tensor(labels))
    assert float(inside) == float(outside)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(8,), (8, 2), (8, 5)])
def test_extreme_logits(shape: tuple[int, ...], loss: str, correction: str, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(2)
    variable = torch.tensor(rng.choice([-1e4, 1e4], size=shape)).to(dtype).requires_grad_()
    n_classes = 2 if len(shape) == 1 else shape[1]
    theta, prior, *_ = a_problem(4, n_classes)
    result = UURisk(theta, prior, loss, correction)(variable, torch.tensor(np.arange(8) % n_classes))
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(variable.grad).all()


def test_extreme_logits_have_the_limits_as_losses() -> None:
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    assert class_losses(logits, "sigmoid").tolist() == [[0, 1], [1, 0]]
    assert class_losses(logits, "logistic").tolist() == [[0, 2e4], [2e4, 0]]
    assert class_losses(torch.tensor([2e4, -2e4]), "logistic").tolist() == [[2e4, 0], [0, 2e4]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_on_a_gpu(loss: str) -> None:
    theta, prior, labels, logits = a_problem(13, 4, n=500)
    risk = UURisk(theta, prior, loss)
    here = value(risk, logits, labels)
    there = risk.to("cuda")(torch.tensor(logits, device="cuda"), torch.tensor(labels, device="cuda"))
    assert float(there) == pytest.approx(here, rel=1e-6)


# Refusals


@pytest.mark.parametrize(
    "theta",
    [
        [[0.5, 0.5], [0.5, 0.5]],
        [[0.7, 0.3], [0.7004, 0.2996]],
        [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.4, 0.4, 0.2]],  # the third set is half the first, half the second
        np.full((50, 50), 0.02),
    ],
)
def test_sets_that_cannot_be_told_apart(theta: list[list[float]]) -> None:
    prior = np.full(len(theta), 1 / len(theta))
    with pytest.raises(InputError, match=r"singular.*cannot be told apart.*no usable signal") as refusal:
        UURisk(theta, prior)
    assert "\n" not in str(refusal.value)


@settings(max_examples=50, deadline=None)
@given(gap=st.floats(0.003, 1), base=st.floats(0, 1))
def test_weights_exist_for_every_gap_above_the_threshold(gap: float, base: float) -> None:
    low = base * (1 - gap)
    theta = [[1 - low, low], [1 - low - gap, low + gap]]
    weights = uu_weights(theta, [0.5, 0.5])
    assert weights @ np.array(theta) == pytest.approx(np.eye(2) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("theta", "prior", "message"),
    [
        ([[1.0]], [1.0], "square"),
        ([0.5, 0.5], [0.5, 0.5], "square"),
        ([[0.9, 0.1]], [0.9, 0.1], "square"),
        ([[0.9, 0.1], [0.2, 0.8]], [0.3, 0.3, 0.4], "class_prior must have 2 entries"),
        ([[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5]], "class_prior must have 2 entries"),
        ([[0.9, 0.2], [0.2, 0.8]], [0.5, 0.5], "each row of theta"),
        ([[1.1, -0.1], [0.2, 0.8]], [0.5, 0.5], "each row of theta"),
        ([[np.nan, 0.1], [0.2, 0.8]], [0.5, 0.5], "each row of theta"),
        ([[0.9, 0.1], [0.2, 0.8]], [0.5, 0.6], "class_prior"),
        ([[0.9, 0.1], [0.2, 0.8]], [1.2, -0.2], "class_prior"),
        ([[0.9, 0.1], [0.2, 0.8]], [np.inf, 0.5], "class_prior"),
    ],
)
def test_what_is_not_a_theta_or_a_prior(theta: object, prior: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        uu_weights(theta, prior)  # type: ignore[arg-type]


def test_unknown_settings() -> None:
    theta, prior = [[0.9, 0.1], [0.2, 0.8]], [0.5, 0.5]
    with pytest.raises(InputError, match="loss must be one of sigmoid, logistic, got 'hinge'"):
        UURisk(theta, prior, "hinge")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="correction must be one of none, leaky, relu, abs, got 'clip'"):
        UURisk(theta, prior, correction="clip")  # type: ignore[arg-type]
    for leak in (np.nan, np.inf, 1.5):
        with pytest.raises(InputError, match="leak"):
            UURisk(theta, prior, leak=leak)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2), (6, 4)])
def test_a_classifier_with_another_number_of_classes(shape: tuple[int, ...]) -> None:
    risk = UURisk(np.eye(3), [0.2, 0.3, 0.5])
    with pytest.raises(InputError, match="theta has 3 rows"):
        risk(torch.zeros(shape), torch.tensor([0, 1, 2, 0, 1, 2]))


def test_a_class_nobody_has() -> None:
    """A prior of 0 is allowed: the class has no risk."""
    risk = UURisk(np.eye(3), [0.4, 0.6, 0.0], "sigmoid", "none")
    _, _, labels, logits = a_problem(9, 3)
    assert risk.partial_risks(*risk.set_sums(torch.tensor(logits), torch.tensor(labels)))[2] == 0
