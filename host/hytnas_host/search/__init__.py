"""Multi-objective search over a space: strategies, evaluators, checkpoints, picks and verification."""
