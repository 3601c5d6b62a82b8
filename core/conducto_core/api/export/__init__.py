"""A run as one self-contained HTML file: to keep, to send, to attach to a pull request.

`collect` reads a bounded part of the pipeline from the port; `page` and the modules below it
convert only that to HTML and return it to a client. Rules for editors: text becomes HTML in
`markup` only; the page has no scripts and loads nothing; times come from the `report.Report`; the
environment of commands is not shown.
"""
