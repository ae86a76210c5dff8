"""The refined classifier as a reward: a policy is aligned by TRL, or its best answers are picked."""

from silr.align.align import align
from silr.align.sample import sample_table
from silr.align.settings import AlignSettings, SampleSettings

__all__ = ["AlignSettings", "SampleSettings", "align", "sample_table"]
