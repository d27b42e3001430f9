"""The last hours for people, from the daemon's own store: kept in memory, bounded, and told as JSON."""
