"""Machine states: rules, PackML, settling and intervals."""
