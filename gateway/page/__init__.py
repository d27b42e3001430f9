"""The page: what people see of the line in a browser, served by the daemon itself."""
