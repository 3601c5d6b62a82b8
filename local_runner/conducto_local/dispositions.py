"""Signals as a program expects to find them.

A process that is started in the background, by ``nohup`` or by some CI systems inherits ignored
signals, and hands them on to each program that it starts: a shell cannot even reset them. Commands
could not be interrupted then, nor could the agent.
"""

import signal
from contextlib import suppress

#: Ignored by Python itself, which resets them in the programs that it starts.
_PYTHONS = {
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)
}


def reset_dispositions() -> None:
    """Give every ignored signal its default action, and block none; for the main thread."""
    for number in signal.valid_signals() - _PYTHONS:
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            with suppress(OSError, ValueError):
                signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
