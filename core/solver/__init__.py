"""The one small interface behind which solvers live, and the HiGHS backend."""
