"""Writes a run as a folder that other tools read, with a model card: all of it, or nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from silr.classifiers.linear import FeatureClassifier
from silr.errors import InputError
from silr.export.blocks import why_not
from silr.export.card import Parts, model_card
from silr.export.card_metadata import check_languages
from silr.export.complete import add_files
from silr.export.distill import Distilled, corpus_of, teach
from silr.export.frozen import PIPELINE, head_alone, parts_of, write_frozen, write_head
from silr.hf.tokens import TokenFeatures
from silr.io.files import atomic_folder
from silr.refine.classifier_caution import classifier_caution
from silr.refine.label_refiner import LabelRefiner
from silr.refine.record import Record, read_record
from silr.refine.run import Run

CARD = "README.md"
OWN = "head.skops"  # the run's own head, beside a distilled one
FROM_FEATURES = "the run was made from features, not from texts"


def export_run(
    run: str | Path,
    folder: str | Path,
    adapter: bool = False,
    reward: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] = (),
    *,
    distill: bool = False,
    onnx: bool = False,
) -> list[str]:
    """Write a finished run as a folder that reads texts: of scikit-learn, or of Hugging Face if it was fine-tuned.

    Parameters
    ----------
    run : str or Path
        Run directory.
    folder : str or Path
        A new or empty folder.
    adapter : bool, default False
        Write the adapter alone, without the model that it sits on.
    reward : str, default None
        Write a reward model with one score: higher where the text is rather of this class.
    license : str, default None
        Licence for the card, such as "mit". None: that of the model under the classifier, if its files say one.
    language : str or sequence of str, default ()
        Languages of the texts for the card, as codes of ISO 639.
    distill : bool, default False
        Write a small classifier that is taught the run's refined labels on TF-IDF and a sentence encoder, in the place
        of the run's own. A run whose features cannot be carried is distilled anyway, if it knows its texts.
    onnx : bool, default False
        Write the classifier as one ONNX graph too, see `silr.export.onnx.write_onnx`.

    Returns
    -------
    list of str
        What the user should know about the folder.

    Raises
    ------
    InputError
        The run is not finished or cannot be written in this form, the folder is in use, or a package is missing.
    """
    folder, languages = Path(folder), [language] if isinstance(language, str) else list(language)
    check_languages(languages)
    refiner = LabelRefiner.load(run, device="cpu")
    names = [str(name) for name in refiner.classes_]
    if reward is not None and reward not in names:
        raise InputError(f"--reward {reward}: the classes of the run are {', '.join(names)}")
    if distill and (adapter or reward is not None):
        raise InputError("a distilled classifier has no fine-tuned model: leave out --adapter and --reward")
    if onnx and (adapter or reward is not None):
        raise InputError("--onnx writes a whole classifier, whose output is a label: leave out --adapter and --reward")
    finetuned = not isinstance(refiner.classifier_, FeatureClassifier)
    if not finetuned and (adapter or reward is not None):
        raise InputError(
            "a run with frozen features has no fine-tuned model: leave out --adapter and --reward (`silr align` "
            "takes any run as its reward)"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder.absolute()} exists already; give a new folder")
    try:
        with atomic_folder(folder) as draft:
            if finetuned and not distill:
                from silr.export.finetuned import FinetunedForm, write_finetuned

                assert isinstance(refiner.features_, TokenFeatures)
                form = FinetunedForm(names, adapter, None if reward is None else names.index(reward))
                parts = write_finetuned(refiner.classifier_, refiner.features_.tokenizer, draft, form)
            elif distill:
                parts = _distilled(refiner, corpus_of(run), draft, "as was asked")
            else:
                parts = _frozen(refiner, run, draft)
            if onnx:
                parts = _with_graph(parts, refiner, run, draft)
            card = model_card(refiner, Run(run), parts, license, languages)
            (draft / CARD).write_text(card, encoding="utf-8")
            add_files(draft, parts)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write {folder}: {getattr(error, 'strerror', None) or error}") from error
    return [*parts.notes, *(_figures(parts.distilled, refiner) if parts.distilled else [])]


def _with_graph(parts: Parts, refiner: LabelRefiner, run: str | Path, draft: Path) -> Parts:
    """With the ONNX graph of the classifier that the folder has."""
    from silr.export.onnx import write_onnx

    classifier, features = refiner.classifier_, getattr(refiner, "features_", None)
    if parts.distilled is not None:
        classifier, features = parts.distilled.classifier, parts.distilled.features
    corpus = read_record(run).corpus
    texts = [] if corpus is None else corpus.texts
    written = write_onnx(classifier, features, refiner.classes_, draft, texts)
    return replace(parts, notes=[*parts.notes, written.note], packages=(*parts.packages, *written.packages))


def _figures(distilled: Distilled, refiner: LabelRefiner) -> list[str]:
    """How good a distilled classifier is; what is said of the run's own anyway is left out."""
    lines = [line.removesuffix(".") for line in distilled.lines]
    return [*lines, distilled.caution] if distilled.caution and not classifier_caution(refiner.result_) else lines


def _frozen(refiner: LabelRefiner, run: str | Path, folder: Path) -> Parts:
    """The run's own classifier with its features; a distilled one where these cannot be carried."""
    features = getattr(refiner, "features_", None)
    reason = FROM_FEATURES if features is None else why_not(parts_of(features))
    if reason is None:
        return write_frozen(refiner.classifier_, refiner.classes_, features, folder)
    try:
        record = corpus_of(run)
    except InputError as error:
        reads = write_head(refiner.classifier_, refiner.classes_, folder / PIPELINE)
        return head_alone(reason if features is None else f"{reason}, and {error}", reads)
    parts = _distilled(refiner, record, folder, f"since {reason}")
    reads = write_head(refiner.classifier_, refiner.classes_, folder / OWN)
    return replace(parts, notes=[*parts.notes, f"the run's own head lies beside it: {reads}"])


def _distilled(refiner: LabelRefiner, record: Record, folder: Path, reason: str) -> Parts:
    """A classifier that is taught the run's labels, with the reason why it is one."""
    distilled = teach(refiner, record)
    parts = write_frozen(distilled.classifier, refiner.classes_, distilled.features, folder)
    made = (
        f"the classifier is a distilled one, {reason}: a linear head on {distilled.reads}, taught the refined labels "
        f"of {distilled.texts:,} texts"
    )
    return replace(parts, notes=[made, *parts.notes], distilled=distilled)
