"""Classifiers: a matrix or token ids to class scores. Each can be saved and loaded."""
