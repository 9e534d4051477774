"""Few scenarios that stand for many: which ones, and how much is lost."""
