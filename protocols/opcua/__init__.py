"""OPC UA: sessions, security and discovery by asyncua; values straight into the table by `ext.opcua`."""
