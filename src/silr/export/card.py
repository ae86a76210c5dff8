"""Model card of an exported run: what it was made from, how good it is, what it is for, and what it cannot do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr import __version__
from silr.export.base_model import BaseModel, base_model
from silr.export.card_metadata import TableName, metadata
from silr.export.requirements import FILE as REQUIREMENTS
from silr.io.files import Json
from silr.io.hub_tables import hub_table
from silr.io.words import Summary, limits, percent, short
from silr.refine.classifier_caution import classifier_caution, classifier_estimate, estimate_in
from silr.refine.refinement import Refinement
from silr.refine.run import TABLE, Run
from silr.report.summary import remarks, said_of, summary

if TYPE_CHECKING:
    from silr.export.distill import Distilled
    from silr.refine.label_refiner import LabelRefiner


INTENDED_USE = (
    "To label texts of the same kind as the corpus (source, language, length, time), where a share of wrong labels "
    "like the one above does no harm or is found by somebody."
)
LIMITS = [
    "- The accuracy is that of the corpus; on texts of another kind it is unknown, and can be much lower.",
    "- The gold labels are few: the interval says how little they tell. It does not cover errors in them.",
    "- What the LLM gets wrong in a systematic way is repaired on average. Groups of texts that it misjudges in a "
    "way of their own can stay misjudged; the estimates do not show that.",
    "- Do not decide about people by its scores alone.",
]
HERE = 'DIR = "."  # this folder; of one on the hub, huggingface_hub.snapshot_download(NAME)'
LONGEST_PATH = 1000  # characters; a longer text is none
PRIORS_FROM = {"gold": "Estimated from the labels by hand.", "oracle": "From all true labels (research only)."}


@dataclass(frozen=True)
class Parts:
    """Description of an exported folder."""

    library: str  # "transformers", "peft", "sentence-transformers", "model2vec" or "sklearn", as the hub says
    usage: str  # Python code that labels texts with the folder, DIR being its path
    base_model: str | None  # hub name or path of the model under it
    reads: str  # its input, as a sentence
    notes: list[str] = field(default_factory=list)  # for the user
    packages: Sequence[str] = ()  # that it needs, for `silr.export.requirements`
    distilled: Distilled | None = None  # how good it is, where it is not the run's classifier


def model_card(
    refiner: LabelRefiner, run: Run, parts: Parts, license: str | None = None, languages: Sequence[str] = ()
) -> str:
    """The card of a finished run as Markdown, with the hub's metadata on top.

    No `license`: that of the model under the classifier, if its files say one. It has no path of this machine.
    """
    result = refiner.result_
    values = summary(result)
    base = base_model(parts.base_model) if parts.base_model else None
    where = ", whose path is in adapter_config.json" if parts.library == "peft" and base and not base.hub_id else ""
    notes = [note.replace(parts.base_model, f"{base}{where}") if parts.base_model else note for note in parts.notes]
    table, title = table_name(run), f"{' or '.join(map(short, values['classes'][:5]))}: a text classifier"
    classes = [code(name) for name in values["classes"]]
    first, best = values["iterations"][0], values["iterations"][result.classifier_iteration]
    identity = run.manifest["identity"]
    packages = ", ".join(f"{name} {version}" for name, version in run.manifest["packages"].items())
    settings = without_paths({**run.configuration, "features": identity["features"]})
    sections = {
        "How to use it": [
            f"`pip install -r {REQUIREMENTS}` brings the packages, in the versions that it was made with.",
            "",
            "```py",
            HERE,
            "```",
            "",
            "```python",
            parts.usage,
            "```",
            "",
            parts.reads,
            *[f"Note: {note}." for note in notes],
        ],
        "Data": _data(run, table, values, first),
        "How good it is": _accuracy(values, result, parts.distilled),
        "Class priors": _priors(classes, result),
        "Training": [
            f"Iteration {best['iteration']} of the run. Settings:",
            "",
            "```json",
            json.dumps(settings, indent=1, default=str),
            "```",
            "",
            f"Made with {packages}.",
        ],
        "Intended use": [INTENDED_USE],
        "Limits": LIMITS,
        "Licence": _license(license, base),
    }
    how = "by [robust UU learning](https://arxiv.org/abs/2502.12565), " if _is_uu(run.configuration) else ""
    lines = [
        "---",
        _on_top(parts, run, result, base, license, languages, title),
        "---",
        "",
        f"# {' or '.join(classes) if len(classes) <= 5 else f'{len(classes)} classes'}: a text classifier",
        "",
        f"It gives a text one of {len(classes)} classes: {', '.join(classes)}. It was trained on labels of "
        f"{'several LLMs' if 'annotators' in first else 'an LLM'}, refined {how}by silr "
        f"{__version__}.",
    ]
    for heading, section in sections.items():
        lines += ["", f"## {heading}", "", *section]
    return "\n".join(lines) + "\n"


def code(text: object) -> str:
    """A name as Markdown code: whatever it holds is shown, not obeyed."""
    line = short(text).replace("`", "'").replace("|", "\u2223")
    return f"`{line}`"


def _is_uu(settings: Json) -> bool:
    return settings.get("method") in ("uu", "paper")


def _on_top(
    parts: Parts,
    run: Run,
    result: Refinement,
    base: BaseModel | None,
    license: str | None,
    languages: Sequence[str],
    title: str,
) -> str:
    tags = ["silr", "weak-supervision", *(["uu-learning"] if _is_uu(run.configuration) else [])]
    return metadata(
        parts.library,
        base,
        table_name(run),
        classifier_estimate(result) if parts.distilled is None else parts.distilled.accuracy,
        tags=tags,
        title=title,
        license=license or (base.license if base else None),
        languages=languages,
        n_gold=run.manifest["gold"],
    )


def table_name(run: Run) -> TableName:
    """What to call the table of a run; never its path."""
    try:
        given = str(json.loads((run.folder / TABLE).read_bytes())["table"])
    except (OSError, ValueError, KeyError, TypeError):
        return TableName("a corpus given in Python")
    if (address := hub_table(given)) is not None:
        return TableName(address.dataset, address.dataset, address.revision)
    return TableName(given.replace("\\", "/").rpartition("/")[2])


def without_paths(value: Any, key: str = "") -> Any:
    """A value of the record, with a model's name for its path and "a local file" for any other path."""
    if isinstance(value, dict):
        return {name: without_paths(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item, key) for item in value]
    if not isinstance(value, str) or os.sep not in value or len(value) > LONGEST_PATH:
        return value
    is_path = Path(value).exists() or (Path(value).is_absolute() and (key == "model" or not re.search(r"\s", value)))
    return (base_model(value).name or "a local file") if is_path else value


def _license(license: str | None, base: BaseModel | None) -> list[str]:
    under = f"The model under it, {base}, has {code(base.license)}." if base and base.license else ""
    if license is not None:
        return [f"{code(license)}. {under}".strip()]
    if under:
        return [f"{under} This classifier is given under the same licence."]
    of_base = f" The files of {base.name or 'the model under it'} do not say theirs." if base else ""
    return [f"Unknown: nobody has said it.{of_base} Ask whoever made this folder before you use it."]


def _data(run: Run, table: TableName, values: Summary, first: Summary) -> list[str]:
    corpus = code(table.name) if (run.folder / TABLE).is_file() else table.name
    texts, gold = run.manifest["texts"], run.manifest["gold"]
    lines = [f"{texts:,} texts of {corpus}, {gold:,} of them with a label by hand."]
    if "pseudo_share" in first:
        shares = zip(values["classes"], first["pseudo_share"], strict=True)
        whose = "The labels of the LLMs' majority" if "annotators" in first else "The LLM's labels"
        lines.append(f"{whose}: {', '.join(f'{percent(share)} {code(name)}' for name, share in shares)}.")
    lines.append(f"SHA-256 of texts, LLM labels and gold labels: `{run.manifest['identity']['input']}`.")
    return lines


def _accuracy(values: Summary, result: Refinement, distilled: Distilled | None) -> list[str]:
    """Rows of the LLM's labels, of the refined ones where they are not the classifier's own, and of the classifier."""
    first, best = values["iterations"][0], values["iterations"][result.best_iteration]
    own = values["iterations"][result.classifier_iteration]
    leans = result.is_posterior and result.classifier_iteration == 1
    rows = [(f"the LLM {code(llm['name'])}", llm, estimate_in(llm)) for llm in first.get("annotators", ())]
    rows.append((result.iterations[0].whose, first, estimate_in(first)))
    if leans or best not in (own, first):
        rows.append(("refined: LLM and features", best, estimate_in(best)))
    reads = "features" if leans else "the text"
    whose = "this classifier" if distilled is None else "the run's classifier"
    name = f"{whose}: {reads} alone" if leans or best is not own else whose
    rows.append((name, {} if leans else own, classifier_estimate(result)))
    if distilled is not None:
        rows.append(("this classifier: distilled", {}, distilled.accuracy))
    truth = any("true_accuracy" in row for _, row, _ in rows)
    head = ["labels of", "right, estimated from gold labels", "95 % interval", *["right by true labels"] * truth]
    lines = ["Share of the corpus's labels that are right:", "", f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name, row, estimate in rows:
        cells = [name, "unknown", ""]
        if estimate is not None:
            cells[1:] = [percent(estimate.accuracy) if estimate.is_exact else "unknown", limits(estimate.interval)]
        if truth:
            cells.append(percent(row["true_accuracy"]) if "true_accuracy" in row else "unknown")
        lines.append(f"| {' | '.join(cells)} |")
    caution = classifier_caution(result) if distilled is None else distilled.caution
    notes = [f"**Note**: {caution}."] if caution else []
    notes += [] if distilled is None else distilled.lines
    notes += said_of(result) + remarks(result, "The classifier" if distilled is None else "The run's classifier")
    return [*lines, "", *notes] if notes else lines


def _priors(classes: list[str], result: Refinement) -> list[str]:
    last = result.iterations[result.classifier_iteration]
    priors = last.priors
    if priors is None:
        no_gold = result.iterations[0].priors is None
        return [f"Unknown: {'there are no gold labels' if no_gold else 'theta was given for the LLM labels only'}."]
    where = "it is predicted"
    if last.notes.kind in ("posterior", "tuned"):
        where = "the refined labels have it"  # they lean on the LLM; the classifier's own are not judged by class
    lines = [PRIORS_FROM.get(priors.source, "As they were given."), ""]
    lines += [f"| class | share of the corpus (95 %) | share of this class where {where} (theta, 95 %) |"]
    lines += ["| --- | --- | --- |"]
    for k, name in enumerate(classes):
        share = f"{percent(priors.class_prior[k])} ({limits(priors.class_prior_interval[k])})"
        right = f"{percent(priors.theta[k, k])} ({limits(priors.theta_interval[k, k])})"
        lines.append(f"| {name} | {share} | {right} |")
    return lines
