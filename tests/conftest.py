"""Settings of all tests: hypothesis draws the same examples in every run of the suite."""

from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("suite")
