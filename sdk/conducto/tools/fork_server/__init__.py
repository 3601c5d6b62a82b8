r"""A fork server for native functions: one import of a module for many calls in a container.

The command server starts a *template*: ``conducto FILE`` with `VARIABLE` set. The template imports
the file as every call does, and waits. Each call runs in a fork of the template, which continues
in the same frames as a new interpreter would after its import. Only the state of a single call is
set in the fork: arguments, environment, streams, signals and random seeds.

A fork equals a new interpreter if the import would do the same again. Therefore the template

- is started with the environment of the container only. The variables of a call, including
  secrets, are read by the fork; the template never has them;
- records the files and variables that the import reads; the fork compares them;
- exits before an import does something that cannot be repeated: no action happens twice.

In every other case the call runs in a new interpreter, as without a template.

The protocol, over three FIFOs in the run directory (``command_server.sh`` has the other end)::

    call     "c"                                      kill all other processes
             "r" NAME=VALUE\0 ... \0 COUNT\0 WORD\0 ...   call a function
    response to "c": LEFT                             the number of processes left for process 1
             to "r": CODE LEFT started                the function ran
                     CODE LEFT other REASON           not for this call: use a new interpreter
                     CODE LEFT stale REASON           the template is out of date: stop it
    started  the third part of the response, from the fork: read by the template when the fork has
             ended, or by the command server if the template dies. So a call wakes neither before
             its end, and a function that has started never runs again.
"""

#: Variable with the run directory; it makes ``conducto FILE`` a template.
VARIABLE = "CONDUCTO_FORK_SERVER"
#: Variable with the names of the variables that the first call sets.
NAMES = "CONDUCTO_FORK_SERVER_NAMES"
