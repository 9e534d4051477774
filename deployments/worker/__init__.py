"""The warm worker: each flow run in a process forked from an interpreter that has loaded everything already."""
