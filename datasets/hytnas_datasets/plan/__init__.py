"""Layer plans: the one torch-free description of a network, from which everything else is built."""
