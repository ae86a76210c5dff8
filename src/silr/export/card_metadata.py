"""The metadata on top of a model card, in the words that the hub's validation knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from silr.errors import InputError
from silr.export.base_model import BaseModel
from silr.io.words import limits
from silr.refine.classifier_caution import Estimate

# identifiers of https://huggingface.co/docs/hub/repositories-licenses; others are "other" with a name
LICENSES = set(
    re.findall(
        r"\S+",
        """
        afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
        bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
        cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
        cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-
        permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
        etalab-2.0 eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl lgpl-2.1
        lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-
        by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unknown unlicense wtfpl zlib
        """,
    )
)
LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")


class TableName(NamedTuple):
    """What to call the table that a run was made from."""

    name: str
    hub_id: str | None = None  # OWNER/NAME, if it is a dataset of the hub
    revision: str | None = None


def check_languages(languages: Sequence[str]) -> None:
    """Refuse what the hub takes for no language."""
    for language in languages:
        if not LANGUAGE.fullmatch(language):
            raise InputError(f"--language {language}: give a code of ISO 639, such as en, or multilingual")


def license_fields(name: str | None) -> dict[str, Any]:
    """The hub's fields of a licence; no name is "unknown"."""
    if name is None:
        return {"license": "unknown"}
    if (known := name.lower()) in LICENSES:
        return {"license": known}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.+-]+", "-", known).strip("-") or "other"}


def metadata(
    library: str,
    base: BaseModel | None,
    table: TableName,
    estimate: Estimate | None,
    *,
    tags: Sequence[str],
    title: str,
    license: str | None,
    languages: Sequence[str],
    n_gold: int,
) -> str:
    """YAML for the top of a model card.

    The accuracy stands in the model index with what it is: an estimate from so many gold labels, with its interval.
    """
    from huggingface_hub import EvalResult, ModelCardData

    evaluated = estimate is not None and estimate.is_exact
    results = []
    if estimate is not None and evaluated:
        how = f"accuracy, estimated from {n_gold:,} gold labels, 95 % interval {limits(estimate.interval)}"
        name = table.hub_id or re.sub(r"[^\w.-]+", "-", table.name).strip("-.") or "corpus"
        results = [
            EvalResult(
                task_type="text-classification",
                dataset_type=name,
                dataset_name=table.name,
                dataset_revision=table.revision,
                metric_type="accuracy",
                metric_name=how,
                metric_value=round(estimate.accuracy, 4),
            )
        ]
    data = ModelCardData(
        **license_fields(license),
        language=None if not languages else languages[0] if len(languages) == 1 else list(languages),
        library_name=library,
        pipeline_tag="text-classification",
        base_model=base.hub_id if base else None,
        datasets=[table.hub_id] if table.hub_id else None,
        tags=list(tags),
        metrics=["accuracy"] if evaluated else None,
        model_name=title if evaluated else None,
        eval_results=results or None,
    )
    return str(data)
