"""A run as one self-contained page: what was done, how sure it is, what to look at, and how to do it again."""
