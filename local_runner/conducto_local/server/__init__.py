"""The local HTTP server: the API's route table on a loopback socket, behind a token."""
