"""What signals were in the last hours, for people who look: a bounded ring beside the buffer; no event uses it."""
