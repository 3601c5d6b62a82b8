"""States, stored records, events, requests and responses of pipelines."""
