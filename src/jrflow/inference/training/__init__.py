"""Training on one or more processes, and trained models on disk."""
