"""Runs as folders that other tools read."""

from silr.export.write import export_run

__all__ = ["export_run"]
