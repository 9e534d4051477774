"""The portfolio problem: program, strict checks, relaxation, tie-break, reports, dollars."""
