"""The cloud implementation of the HTTP API: routes, authorization and responses."""
