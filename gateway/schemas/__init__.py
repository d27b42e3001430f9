"""The data of every event type: the fields that consumers build on, as types and as JSON Schemas."""
