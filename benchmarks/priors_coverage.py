"""How often the 95 % intervals of `silr.stats.priors` hold the truth, by simulation.

Finite corpora of known composition, gold drawn without replacement in two designs (as `silr label` does, from each
initial pseudo-label in proportion to the root of its size; or simple random), priors estimated for the initial
pseudo-labels and for those of a later iteration.
Run from anywhere: `python benchmarks/priors_coverage.py [--draws 4000]`; about ten minutes on one core.
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path

import numpy as np

from silr.label.draw import POWER
from silr.stats.gold_weights import FEW, collapsed
from silr.stats.label_noise import noise_estimates

SIZES, N_GOLD, DESIGNS = (1_000, 3_600, 100_000), (50, 100, 500), ("stratified", "random")
ACCURACIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97)


def corpus(n, rare, right, refined=None):
    """Counts T[h, j, k]: initial pseudo-label h, current pseudo-label j, truth k.

    The first initial pseudo-label has a share of `rare`, the others share the rest; `right[h]` of stratum h is truly h.
    Without `refined` the current pseudo-label is the initial one, with it it is right for that share of every cell.
    """
    K = len(right)
    T = np.zeros((K, K, K), dtype=int)
    sizes = np.round(n * np.r_[rare, np.full(K - 1, (1 - rare) / (K - 1))]).astype(int)
    for h, N in enumerate(sizes):
        truth = spread(N, h, right[h], K)
        if refined is None:
            T[h, h] = truth
        else:
            T[h] = np.stack([spread(N_k, k, refined, K) for k, N_k in enumerate(truth)], axis=1)
    return T


def spread(n, own, share, K):
    """Split n into K classes, `share` of it to class `own` and the rest evenly."""
    count = np.zeros(K, dtype=int)
    count[own] = round(n * share)
    for i in range(n - count[own]):
        count[(own + 1 + i % (K - 1)) % K] += 1
    return count


def draw(T, n_gold, design, draws, rng):
    """Gold counts of the same axes as T, one table a draw."""
    if design == "random":
        return rng.multivariate_hypergeometric(T.ravel(), n_gold, size=draws).reshape(draws, *T.shape)
    sizes = T.sum(axis=(1, 2))
    wanted = np.minimum(np.round(n_gold * sizes**POWER / (sizes**POWER).sum()).astype(int), sizes)
    gold = [rng.multivariate_hypergeometric(t.ravel(), n, size=draws) for t, n in zip(T, wanted, strict=True)]
    return np.stack(gold, axis=1).reshape(draws, *T.shape)


def strata_weights(size, count):
    """Texts that each gold label of a stratum speaks for; strata with few are collapsed."""
    w = size / np.maximum(count, 1)
    for place in np.flatnonzero((count < FEW).any(axis=1)):
        group = collapsed(size, count[place], FEW)
        w[place] = (np.bincount(group, size) / np.maximum(np.bincount(group, count[place]), 1))[group]
    return w


def estimate(T, gold, level=0.95):
    """What `priors_from_gold(..., strata=initial pseudo-labels)` finds, for all draws at once."""
    w = strata_weights(T.sum(axis=(1, 2)), gold.sum(axis=(2, 3)))
    mass, square = np.einsum("sh,shjk->sjk", w, gold), np.einsum("sh,shjk->sj", w**2, gold)
    return noise_estimates(mass, square, gold.sum(axis=(1, 3)), T.sum(axis=(0, 2)), level, smoothing=1.0)


def scenarios():
    """Name, setting and counts of every corpus."""
    for n, rare, a in product(SIZES, (0.05, 0.2, 0.5), ACCURACIES):
        yield "initial, both sets alike", f"n {n}, set {rare}, accuracy {a}", corpus(n, rare, (a, a))
        yield "later iteration", f"n {n}, stratum {rare}, accuracy {a}", corpus(n, rare, (0.9, 0.55), a)
        for first in (0.3, 0.6, 0.95):
            second = (a - rare * first) / (1 - rare)
            if 0.3 < second < 0.985:
                yield (
                    "initial, sets unlike",
                    f"n {n}, set {rare}, accuracy {a} ({first}, {second:.3f})",
                    corpus(n, rare, (first, second)),
                )
    for n, K, a in product(SIZES, (3, 4, 5), (0.5, 0.8, 0.95)):
        for rare in (0.05, 1 / K):
            yield f"{K} classes, initial", f"n {n}, set {rare:.2f}, accuracy {a}", corpus(n, rare, [a] * K)
            yield f"{K} classes, later", f"n {n}, set {rare:.2f}, accuracy {a}", corpus(n, rare, [0.7] * K, a)


def inside(interval, truth):
    return np.mean((interval[..., 0] <= truth + 1e-9) & (interval[..., 1] >= truth - 1e-9), axis=0)


def measure(T, n_gold, design, draws, rng):
    """Coverage and mean width of the intervals, and bias, of one corpus and design."""
    found = estimate(T, draw(T, n_gold, design, draws, rng))
    N_jk = T.sum(axis=0)
    accuracy, theta = np.trace(N_jk) / N_jk.sum(), N_jk / N_jk.sum(axis=1, keepdims=True)
    row = {
        "accuracy": inside(found["accuracy_interval"], accuracy),
        "class_prior": inside(found["class_prior_interval"], N_jk.sum(axis=0) / N_jk.sum()).mean(),
        "theta": inside(found["theta_interval"], theta).mean(),
        "width": np.diff(found["accuracy_interval"]).mean(),
        "bias": found["accuracy"].mean() - accuracy,
    }
    if len(T) == 2:
        row["signal"] = inside(found["signal_interval"], theta[1, 1] - theta[0, 1])[1, 0]
    return {name: round(float(value), 4) for name, value in row.items()}


def false_alarms(draws, rng):
    """How often labels that are independent of the truth pass the check of the signal (nominal: at most 2.5 %)."""
    for n_gold, design, rare, prior in product(N_GOLD, DESIGNS, (0.05, 0.2, 0.5), (0.5, 0.8)):
        found = estimate(T := corpus(100_000, rare, (1 - prior, prior)), draw(T, n_gold, design, draws, rng))
        passed = float((found["signal_interval"][:, 1, 0, 0] > 0).mean())
        yield {"n_gold": n_gold, "design": design, "rare": rare, "class_prior": prior, "passed": round(passed, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "priors_coverage.json")
    args = parser.parse_args()
    rng, start, rows = np.random.default_rng(0), time.perf_counter(), []
    for group, setting, T in scenarios():
        for n_gold, design in product(N_GOLD, DESIGNS):
            numbers = measure(T, n_gold, design, args.draws, rng)
            rows.append({"group": group, "setting": setting, "n_gold": n_gold, "design": design, **numbers})
    alarms = list(false_alarms(args.draws, rng))

    print(
        "Coverage of the 95 % interval of the accuracy over the corpora of each group, and of the others on average\n"
    )
    print("| group | gold | design | corpora | min | median | max | in 92-98 % | theta | class prior | width | bias |")
    print("| --- " * 12 + "|")
    summary = []
    for group, n_gold, design in product(dict.fromkeys(r["group"] for r in rows), N_GOLD, DESIGNS):
        part = [r for r in rows if (r["group"], r["n_gold"], r["design"]) == (group, n_gold, design)]
        cover = np.array([r["accuracy"] for r in part])
        mean = {name: round(float(np.mean([r[name] for r in part])), 4) for name in ("theta", "class_prior", "width")}
        bias = max((r["bias"] for r in part), key=abs)
        line = {"min": cover.min(), "median": np.median(cover), "max": cover.max()}
        line = {name: round(float(value), 4) for name, value in line.items()}
        within = round(float(np.mean((cover >= 0.92) & (cover <= 0.98))), 4)
        summary.append(
            {"group": group, "n_gold": n_gold, "design": design, "corpora": len(part)}
            | line
            | {"within": within, **mean, "largest_bias": bias}
        )
        values = [*(f"{v:.3f}" for v in line.values()), f"{within:.0%}", *(f"{v:.3f}" for v in mean.values())]
        print("|", " | ".join([group, str(n_gold), design, str(len(part)), *values, f"{bias:+.3f}"]), "|")
    signal = [r["signal"] for r in rows if "signal" in r]
    print(f"\ntheta - theta': coverage {min(signal):.3f} to {max(signal):.3f}, mean {np.mean(signal):.3f}")
    passed = [a["passed"] for a in alarms]
    print(
        f"labels without signal that pass check_signal: {min(passed):.3f} to {max(passed):.3f}, nominal at most 0.025"
    )
    print(f"{time.perf_counter() - start:.0f} s, {args.draws} draws each")

    outside = [r for r in rows if not 0.92 <= r["accuracy"] <= 0.98]
    result = {"draws": args.draws, "level": 0.95, "summary": summary, "false_alarms": alarms, "outside": outside}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
