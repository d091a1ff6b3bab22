"""The server: one thread for all connections, one for the work, so that nothing disturbs a timed run."""
