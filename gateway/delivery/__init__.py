"""The door out: outbox, lanes, senders, sinks, dead letters."""
