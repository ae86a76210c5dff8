"""The methods, the estimator and the run."""
