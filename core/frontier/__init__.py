"""The efficient frontier: one limit varied, everything else as asked, each point a certified optimum of its own."""
