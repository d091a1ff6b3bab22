"""The steps of a study: each reads what the study folder holds and leaves its result there.

The main job (`main_job`) strings them together; the command line calls them one by one.
"""
