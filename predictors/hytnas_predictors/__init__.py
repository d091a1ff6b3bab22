"""Features, estimators, validation and the leaderboard: how well a label can be predicted."""
