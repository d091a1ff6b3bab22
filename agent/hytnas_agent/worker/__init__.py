"""The fresh process that measures one model once: ``python -m hytnas_agent.worker RESULT_FD``."""
