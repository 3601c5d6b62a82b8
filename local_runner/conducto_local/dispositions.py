"""Default signal dispositions.

A process that is started in the background, by ``nohup`` or by some CI systems inherits ignored
signals and passes them to every program it starts: a shell cannot even reset them. Neither commands
nor the agent could then be interrupted.
"""

import signal
from contextlib import suppress

#: Signals that Python ignores itself and resets in the programs it starts.
_PYTHONS = {
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)
}


def reset_dispositions() -> None:
    """Reset every ignored signal to its default and unblock all; call it in the main thread."""
    for number in signal.valid_signals() - _PYTHONS:
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            with suppress(OSError, ValueError):
                signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
