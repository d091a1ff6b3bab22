"""The noise study: how far measurements by several methods repeat, and at what cost (``noise_study.py``)."""
