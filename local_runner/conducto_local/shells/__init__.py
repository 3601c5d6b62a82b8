"""Debug shells in pages: like `conducto debug`, with a WebSocket instead of the terminal.

A page requests a ticket (`tickets`), which is valid for one shell and one WebSocket.
`terminal_socket` handles the WebSocket's messages; `screen` is its interface for the shell. The
container comes from `conducto_local.debug` and is removed when the WebSocket ends for any reason.
"""
