"""Callbacks of nodes."""

import conducto as co


def pipeline() -> co.Parallel:
    root = co.Parallel()
    root["retry"] = co.Exec("false")
    root["retry"].on_error(co.callback.retry(3))
    root["skip"] = co.Exec("false")
    root["skip"].on_error(co.callback.retry_then_skip(1))
    root["memory"] = co.Exec("false")
    root["memory"].on_killed(co.callback.retry_with_double_mem(2))
    root["some"] = co.Parallel()
    root["some/x"] = co.Exec("false")
    root["some"].on_error(co.callback.skip_some_errors(1))
    root.on_done(co.callback.email(to="a@example.com"))
    root.on_state_change(co.callback.slack_status("#builds", message="hello"))
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
