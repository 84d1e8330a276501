"""Trained models applied to measured responses: estimates, fits, verdicts."""
