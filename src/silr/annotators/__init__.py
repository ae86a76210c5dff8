"""Annotators give each text of a corpus one score a class."""

from silr.annotators.base import Annotation, Annotator, annotate_texts
from silr.annotators.local import LocalAnnotator
from silr.annotators.prompts import Prompt
from silr.annotators.table import AnnotationSummary, annotate_file, partial_path

__all__ = [
    "Annotation",
    "AnnotationSummary",
    "Annotator",
    "LocalAnnotator",
    "Prompt",
    "annotate_file",
    "annotate_texts",
    "partial_path",
]
