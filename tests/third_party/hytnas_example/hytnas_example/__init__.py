"""One of each thing that a package can add to hytnas: space, family, runtime, estimator, strategy."""
