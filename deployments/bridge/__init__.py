"""The bridge: from an outbox row to a flow run, exactly one for each session and epoch."""
