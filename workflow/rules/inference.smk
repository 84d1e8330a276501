"""Training, baselines, scores, limits."""
