"""What --classes may be, and where."""

from __future__ import annotations

import pytest

from silr.cli.options import split_classes, spread_classes
from silr.errors import InputError


@pytest.mark.parametrize(
    ("typed", "table"),
    [
        ("label t.csv --classes a b", "t.csv"),
        ("label --classes a b t.csv", "t.csv"),
        ("refine --classes a,b t.parquet.gz -o run", "t.parquet.gz"),
        ("refine t.jsonl --classes=a b -o run", "t.jsonl"),
        ("annotate --classes a --classes b t.tsv", "t.tsv"),
        ("annotate t.csv --classes a, b -q", "t.csv"),
    ],
)
def test_the_classes_wherever_the_table_stands(typed: str, table: str) -> None:
    spread = spread_classes(typed.split())
    classes, rest = [], []
    arguments = iter(spread)
    for argument in arguments:
        if argument.startswith("--classes"):
            classes.append(argument.partition("=")[2] or next(arguments))
        else:
            rest.append(argument)
    assert split_classes(classes) == ["a", "b"] and rest[1 if rest[1] != "-o" else 3] == table


def test_numbers_below_zero_and_names_with_commas() -> None:
    assert spread_classes(["--classes", "-1", "0", "-q"]) == ["--classes", "-1", "--classes", "0", "-q"]
    assert split_classes(["-1,0, 1"]) == ["-1", "0", "1"]
    assert split_classes(['"World, politics",Sports', "Art"]) == ["World, politics", "Sports", "Art"]
    for values, said in ((["a"], "at least two"), (["a,a"], "each once"), (["1", "1.0"], "each once"), ([], "none")):
        with pytest.raises(InputError, match=said):
            split_classes(values)
