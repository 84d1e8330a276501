"""Comparison of estimators, with each other, with the limit and with reference posteriors."""
