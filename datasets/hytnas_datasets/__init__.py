"""What can be sampled (spaces, architectures, layer plans) and what was measured (the study store)."""
