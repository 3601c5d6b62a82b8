"""Debug shells in pages: what `conducto debug` opens, with a WebSocket in the terminal's place.

A page asks for a ticket (`tickets`), which names one shell and opens one WebSocket. What goes over
that is a `talk`; for the shell it is a `screen`. The container is `conducto_local.debug`'s; it goes
with the WebSocket, however that ends.
"""
