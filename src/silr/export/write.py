"""Writes a run as a folder that other tools read, with a model card: all of it, or nothing."""

from pathlib import Path

from safetensors import SafetensorError

from silr.classifiers.linear import FeatureClassifier
from silr.errors import InputError
from silr.export.card import model_card
from silr.export.frozen import write_frozen
from silr.hf.tokens import TokenFeatures
from silr.io.files import atomic_folder
from silr.refine.label_refiner import LabelRefiner
from silr.refine.run import Run

CARD = "README.md"


def export_run(
    run: str | Path, folder: str | Path, adapter: bool = False, reward: str | None = None, *, onnx: bool = False
) -> list[str]:
    """Write a finished run as a Hugging Face folder, or as a scikit-learn pipeline if its features were frozen.

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
    folder = Path(folder)
    refiner = LabelRefiner.load(run, device="cpu")
    names = [str(name) for name in refiner.classes_]
    if reward is not None and reward not in names:
        raise InputError(f"--reward {reward}: the classes of the run are {', '.join(names)}")
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
            if finetuned:
                from silr.export.finetuned import FinetunedForm, write_finetuned

                assert isinstance(refiner.features_, TokenFeatures)
                form = FinetunedForm(names, adapter, None if reward is None else names.index(reward))
                parts = write_finetuned(refiner.classifier_, refiner.features_.tokenizer, draft, form)
            else:
                parts = write_frozen(refiner, draft)
            if onnx:
                parts.notes.extend(_with_onnx(refiner, run, draft))
            (draft / CARD).write_text(model_card(refiner, Run(run), parts), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write {folder}: {getattr(error, 'strerror', None) or error}") from error
    return parts.notes


def _with_onnx(refiner: LabelRefiner, run: str | Path, draft: Path) -> list[str]:
    """Notes of the graph that it writes."""
    from silr.export.onnx import write_onnx
    from silr.refine.record import read_record

    corpus = read_record(run).corpus
    texts = [] if corpus is None else corpus.texts
    return write_onnx(refiner.classifier_, getattr(refiner, "features_", None), refiner.classes_, draft, texts)
