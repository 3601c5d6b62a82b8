"""A run as one HTML file that needs nothing else: to keep, to send, to attach to a pull request.

`gathering` asks the port for a bounded part of the pipeline, `page` and the modules below it make
HTML of that and of nothing else, `answer` hands it to a client. Rules for who changes it: text
becomes HTML in `markup` only; the page has no scripts and asks for nothing; times come in with
the `run.Run`; the environment of commands is not shown.
"""
