"""The log: one contract (`log.log`), two homes (`log.embedded`, `log.kafka`)."""
