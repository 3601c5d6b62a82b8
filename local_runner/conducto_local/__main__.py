"""``python -m conducto_local agent run``: the agent as a process."""

import argparse
import asyncio
import functools
import logging
import os
import sys
from collections.abc import Sequence

from conducto_local.agent import process as descriptors
from conducto_local.agent.agent import AgentRunsAlreadyError, OpenRunner, report_ready, run_agent
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.process import log_to, reset_dispositions
from conducto_local.agent.state_dir import AgentSettingError, StateDir, open_state_dir
from conducto_local.store.port import StoreError

logger = logging.getLogger("conducto_local")


def main(argv: Sequence[str] | None = None, open_runner: OpenRunner | None = None) -> int:
    """Run the agent; return the exit code.

    Args:
        argv: Arguments; None for those of the process.
        open_runner: Opens the `Pipelines` to serve; None for the local runner.
    """
    options = _parser().parse_args(argv)
    reset_dispositions()
    home = open_state_dir(options.profile)
    return _run(home, _local_runner() if open_runner is None else open_runner, options)


def _local_runner() -> OpenRunner:
    from conducto_local.agent.runner import open_runner  # noqa: PLC0415  tests pass their own

    return open_runner


def _run(home: StateDir, open_runner: OpenRunner, options: argparse.Namespace) -> int:
    in_background = options.ready_fd is not None
    files = AgentFiles(home.agent)
    files.make_directory()
    handler = log_to(files.log if in_background else None)
    on_ready = functools.partial(report_ready, options.ready_fd) if in_background else None
    try:
        _follow_children_without_threads()
        descriptors.raise_limit()
        descriptors.OUTPUT.fill()
        run_agent(home, open_runner, port=options.port, on_ready=on_ready)
    except (AgentRunsAlreadyError, AgentSettingError, StoreError, OSError) as error:
        sys.stderr.write(f"conducto agent: {error}\n")
        return 1
    except Exception:
        logger.exception("agent failed")
        return 1
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    return 0


def _follow_children_without_threads() -> None:
    """Let asyncio watch child processes by pidfd, as Python 3.12 and later do.

    Earlier versions start a thread for each child: a fifth of the time of `--engine process`.
    """
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:
            return  # an older kernel
        asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conducto_local")
    commands = parser.add_subparsers(dest="command", required=True)
    agent = commands.add_parser("agent", help="the process that runs pipelines")
    actions = agent.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run the agent in the foreground, until Ctrl-C")
    run.add_argument("--profile", help="the profile to serve (default: the current one)")
    run.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any)")
    run.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
