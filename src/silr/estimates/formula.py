"""A formula such as ``hostile ~ party + year``, where the name of a class says: this text is of that class."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.estimates.evidence import Evidence
from silr.estimates.from_gold import from_gold
from silr.extras import needs
from silr.io.pieced_table import PiecedTable
from silr.stats.design_based import ClassDesign

if TYPE_CHECKING:
    import pandas as pd

FUNCTIONS = {name: getattr(np, name) for name in ("log", "log1p", "log2", "log10", "exp", "sqrt", "abs", "minimum")}
FUNCTIONS |= {"maximum": np.maximum, "np": np, "bool": bool, "float": float, "int": int}
SHOWN = 12  # columns that a message lists
MOST_ROWS = 2_000_000  # of a table in pieces, whose design matrix has to be in memory


@dataclass(frozen=True)
class Formula:
    """A formula that was read, with the names in it."""

    text: str
    description: Any  # patsy's ModelDesc
    classes: list[str]  # that it names
    columns: list[str]
    outcome: str


@dataclass(frozen=True)
class Terms:
    """A formula's regressors and outcome for the texts of a corpus."""

    design: ClassDesign
    names: list[str]  # of the p columns
    intercept: int | None  # its column


def read_formula(text: str, evidence: Evidence) -> Formula:
    """Read a formula; InputError if it is none, or has a name that is neither a class nor a column."""
    with needs("estimate", "--formula"):
        import patsy
    try:
        description = patsy.ModelDesc.from_formula(text)
        left, right = (
            [name for term in terms for factor in term.factors for name in _names(factor.code)]
            for terms in (description.lhs_termlist, description.rhs_termlist)
        )
    except (patsy.PatsyError, SyntaxError) as error:
        raise InputError(f"the formula {text!r} cannot be read: {_first_line(error)}") from None
    if not description.lhs_termlist:
        raise InputError(f"the formula {text!r} has no outcome: write 'OUTCOME ~ REGRESSOR + REGRESSOR'")
    names = list(dict.fromkeys(left + right))
    classes = [name for name in names if name in evidence.class_names]
    functions = {*FUNCTIONS, *patsy.builtins.__all__}  # such as Treatment
    columns = [name for name in names if name not in classes and (name in evidence.frame or name not in functions)]
    _check_names(text, evidence, classes, columns)
    both = [name for name in classes if name in left and name in right]
    if both:
        raise InputError(f"the formula {text!r} has the class {both[0]!r} on both sides")
    if len(evidence.class_names) == 2 and len(set(classes)) == 2 and any(name in classes for name in left):
        raise InputError(f"the formula {text!r} has both classes; of two classes each says the other: leave one out")
    return Formula(text, description, classes, columns, " + ".join(term.name() for term in description.lhs_termlist))


def _names(code: str) -> list[str]:
    """Names of data in a factor, such as ``log(year)`` or ``Q("my column")``, without those of functions."""
    found: list[str] = []
    functions: set[int] = set()
    for node in ast.walk(ast.parse(code.strip(), mode="eval")):
        if isinstance(node, ast.Call):
            functions.add(id(node.func))
            if isinstance(node.func, ast.Name) and node.func.id == "Q" and len(node.args) == 1:
                found.append(str(ast.literal_eval(node.args[0])))
        elif isinstance(node, ast.Attribute):
            functions.add(id(node.value))
        elif isinstance(node, ast.Name) and id(node) not in functions:
            found.append(node.id)
    return found


def _check_names(text: str, evidence: Evidence, classes: Sequence[str], columns: Sequence[str]) -> None:
    frame = evidence.frame
    for name in classes:
        if name in frame.columns:
            raise InputError(
                f"{name!r} in the formula is both a class and a column of {evidence.name}: give the column another name"
            )
    for name in columns:
        reason = None
        if name in frame.columns:
            reason = from_gold(frame, name, evidence.gold_column, evidence.class_names)
        if reason is not None:
            raise InputError(f"{name!r} in the formula {reason}; for the label itself write the name of a class")
        if name not in frame.columns:
            known = [str(each) for each in frame.columns if each != evidence.texts_column]
            near = get_close_matches(name, [*evidence.class_names, *known], 1)
            words = [_quoted(each) if each in evidence.class_names else repr(each) for each in near]
            meant = f"; did you mean {words[0]}?" if words else ""
            shown = ", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else "")
            raise InputError(
                f"the formula {text!r} has {name!r}, which is neither a class "
                f"({', '.join(map(_quoted, evidence.class_names))}) nor a column of {evidence.name} ({shown}){meant}"
            )


def _quoted(name: str) -> str:
    """A class as a formula names it."""
    return name if name.isidentifier() else f"Q({json.dumps(name, ensure_ascii=False)})"


def values_of(evidence: Evidence, formula: Formula) -> dict[str, Any]:
    """The columns of a formula: numbers where all cells are numbers, else words; NaN or None where one is empty.

    InputError for a table in pieces that is too long: its columns have to be in memory.
    """
    if isinstance(evidence.frame, PiecedTable) and len(evidence) > MOST_ROWS:
        raise InputError(
            f"{evidence.name} has {len(evidence):,} rows; a regression here takes at most {MOST_ROWS:,} of a table in "
            "pieces: --dsl -o FOLDER writes outcomes for a regression elsewhere"
        )
    return {name: _values(evidence.frame[name]) for name in formula.columns}


def _values(column: pd.Series[Any]) -> NDArray[Any]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(column) and not column.isna().any():
        return column.to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(column):
        return _whole(column.to_numpy(dtype=np.float64, na_value=np.nan))
    words = column.astype("string").str.strip()
    words = words.mask(words == "")
    numbers = pd.to_numeric(words, errors="coerce")
    if numbers.notna().sum() == words.notna().sum():
        return _whole(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    return words.astype(object).where(words.notna(), None).to_numpy(dtype=object)


def _whole(numbers: NDArray[np.float64]) -> NDArray[Any]:
    """As integers if all are: ``C(year)`` has levels 2020, not 2020.0."""
    if np.isfinite(numbers).all() and (numbers == np.round(numbers)).all() and np.abs(numbers).max(initial=0) < 2**53:
        return numbers.astype(np.int64)
    return numbers


def missing_of(values: Mapping[str, NDArray[Any]], n: int) -> tuple[NDArray[np.bool_], list[str]]:
    """Texts without a value somewhere, shape (n,), and the columns where values are missing."""
    missing, columns = np.zeros(n, dtype=bool), []
    for name, column in values.items():
        empty = np.array([value is None for value in column]) if column.dtype == object else np.isnan(column * 1.0)
        if empty.any():
            columns.append(name)
        missing |= empty
    return missing, columns


def terms_of(formula: Formula, values: Mapping[str, NDArray[Any]], classes: Sequence[str], codes: Any) -> Terms:
    """Regressors and outcome of n texts under each class; `codes`, shape (n,), are any classes, to begin with."""
    from patsy import EvalEnvironment, NAAction, PatsyError, build_design_matrices, dmatrices

    n, K, nothing = len(codes), len(classes), NAAction(NA_types=[])

    def data(code: NDArray[Any] | int) -> dict[str, Any]:
        of_class = {name: np.broadcast_to(code == classes.index(name), n).astype(np.int64) for name in formula.classes}
        return {**values, **of_class}

    try:
        with np.errstate(all="ignore"):  # what is no finite number is refused below
            left, right = dmatrices(formula.description, data(codes), EvalEnvironment([FUNCTIONS]), nothing)
        left_info, right_info = left.design_info, right.design_info
        varying = _varying(right_info, formula.classes)
        in_outcome = bool(len(_varying(left_info, formula.classes)))
        of_class, outcomes = np.zeros((K, n, len(varying))), np.zeros((K, n))
        outcomes[:] = _outcome(np.asarray(left), formula, left_info)
        for k in range(K):
            if in_outcome:
                (made,) = build_design_matrices([left_info], data(k), nothing)
                outcomes[k] = _outcome(np.asarray(made), formula, left_info)
            if len(varying):
                (made,) = build_design_matrices([right_info], data(k), nothing)
                of_class[k] = np.asarray(made)[:, varying]
    except PatsyError as error:
        raise InputError(f"the formula {formula.text!r} cannot be used: {_first_line(error)}") from None
    fixed = np.array(right, dtype=np.float64)
    if not fixed.shape[1]:
        raise InputError(f"the formula {formula.text!r} has no regressor; '{formula.outcome} ~ 1' estimates a share")
    wrong = ~(
        np.isfinite(fixed).all(axis=1) & np.isfinite(outcomes).all(axis=0) & np.isfinite(of_class).all(axis=(0, 2))
    )
    if wrong.any():
        raise InputError(f"the formula {formula.text!r} gives {int(wrong.sum()):,} texts no finite number")
    names = [re.sub(r"np\.\w+\(([^()]*)\)", r"\1", name) for name in right_info.column_names]  # a level's own repr
    intercept = names.index("Intercept") if "Intercept" in names else None
    return Terms(ClassDesign(fixed, varying, of_class, outcomes), names, intercept)


def _varying(info: Any, classes: Sequence[str]) -> NDArray[np.intp]:
    """Columns whose term has a class in it."""
    places = [
        place
        for term, columns in info.term_slices.items()
        if any(name in classes for factor in term.factors for name in _names(factor.code))
        for place in range(columns.start, columns.stop)
    ]
    return np.array(sorted(places), dtype=np.intp)


def _outcome(matrix: NDArray[np.float64], formula: Formula, info: Any) -> NDArray[np.float64]:
    """The only column; of a condition, which patsy writes as two, that where it holds."""
    if matrix.shape[1] == 2 and str(info.column_names[1]).endswith("[True]"):
        return matrix[:, 1]
    if matrix.shape[1] != 1:
        raise InputError(
            f"the outcome {formula.outcome!r} must be one number a text: a class, a column of numbers, or a "
            "condition on a column of words, as in 'I(party == \"left\") ~ ...'"
        )
    return matrix[:, 0]


def _first_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg or "syntax error"
    return str(error).strip().splitlines()[0]
