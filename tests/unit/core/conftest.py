"""Properties are judged by what they find, never by the clock of a machine that others share."""

from hypothesis import settings

settings.register_profile("no_clock", deadline=None)
settings.load_profile("no_clock")
