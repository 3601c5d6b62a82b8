"""The cloud's side of the HTTP API: routes, authorization, responses."""
