"""Alarms, a queue of lost events, a dashboard and a budget.

The setting ``alarm_email`` selects the recipient; without one, the alarms are only visible in the
console.
"""

from collections.abc import Sequence

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from conducto_core.installation import names as deployment
from conducto_core.installation.rules import WITHOUT_BUDGETS
from infra.settings import Settings
from infra.stacks.api import ApiStack

#: Functions that AWS invokes asynchronously: after all retries their events go to the queue, and
#: the schedule that runs every minute compensates for them.
ASYNCHRONOUS = (
    "task_stopped",
    "execution_ended",
    "build_ended",
    "every_minute",
    "every_day",
    "hook_event",
    "background",
)
#: ``{alarm: functions whose failures it counts}``: every function is in one of them. An alarm is
#: limited to ten metrics; add further functions to another or a new group.
WATCHED = {
    "Errors": (
        "api_handler",
        "authorize",
        "data",
        "admin",
        "socket_connect",
        "socket_message",
        "socket_disconnect",
    ),
    "EventErrors": ASYNCHRONOUS,
}
MAX_METRICS = 10
#: Failures to end a shell in five minutes before the alarm goes off: AWS throttles now and then,
#: and the next run retries.
SHELL_TIMEOUT = 2
#: Attempts to create an account in five minutes before the alarm goes off.
MAX_SIGN_UPS = 50
_TITLES = {"Errors": "requests", "EventErrors": "events"}
#: The log message for a pipeline that could not be reconciled (`chalicelib.run.reconcile`).
NOT_RECONCILED = "a pipeline was not reconciled"
#: The log message for a debug shell that could not be checked or ended
#: (`chalicelib.debug.sessions`).
NOT_CHECKED = "a debug shell was not checked"
#: The log message for usage that Stripe refused (`chalicelib.billing.billing`).
REFUSED_USAGE = "the payment provider refused usage"
_MINUTES = Duration.minutes(5)


class MonitoringStack(Stack):
    """Alarms.

    Attributes:
        alarms: All alarms.
        lost: Events that no function could handle.
    """

    def __init__(
        self, scope: Construct, name: str, settings: Settings, *, api: ApiStack, **options: object
    ) -> None:
        super().__init__(scope, name, **options)  # type: ignore[arg-type]
        self.add_stack_dependency(api)  # functions and log groups are referenced by name
        self._settings = settings
        self.lost = self._queue(api)
        self._minutes = logs.LogGroup.from_log_group_name(
            self, "MinuteLogs", f"/aws/lambda/{self._function('every_minute')}"
        )
        self._lines("NotDistributed", NOT_RECONCILED, "FailedReconciles")
        checks = logs.LogGroup.from_log_group_name(
            self, "BackgroundLogs", f"/aws/lambda/{self._function('background')}"
        )
        self._reconciles = self._lines("NotReconciled", NOT_RECONCILED, "FailedReconciles", checks)
        self._shells = self._lines("NotChecked", NOT_CHECKED, "FailedShells")
        self._topic = (
            None if settings.alarm_email is None else self._add_notification(settings.alarm_email)
        )
        self.alarms = [
            self._alarm(
                "Throttles",
                # Of all functions of the account: they share its concurrency limit.
                cloudwatch.Metric(
                    namespace="AWS/Lambda",
                    metric_name="Throttles",
                    statistic="Sum",
                    period=_MINUTES,
                ),
                "functions are throttled: raise the account's limit on concurrent executions",
            ),
            *(
                self._alarm(
                    group,
                    self._sum("Errors", functions),
                    f"functions fail ({', '.join(functions)}): see their logs",
                    above=5,
                )
                for group, functions in WATCHED.items()
            ),
            self._alarm(
                "TableThrottles",
                self._table_throttles(),
                "the table is throttled: a partition has more traffic than DynamoDB takes",
            ),
            self._alarm(
                "LostEvents",
                self.lost.metric_approximate_number_of_messages_visible(
                    period=_MINUTES, statistic="Maximum"
                ),
                "AWS events were lost; the queue has them, and every_minute compensates",
            ),
            self._alarm(
                "FailedReconciles",
                self._reconciles,
                "pipelines cannot be reconciled: see the logs of background and every_minute",
            ),
            self._alarm(
                "FailedShells",
                self._shells,
                "debug shells on workers cannot be ended and still cost money: see the log of "
                "every_minute; their tasks can be stopped in ECS",
                above=SHELL_TIMEOUT,
            ),
        ]
        if settings.billing:
            self.alarms.append(self._usage_alarm())
        if settings.identity is not None:
            self.alarms.append(
                self._alarm(
                    "SignUps",
                    self._sum("Invocations", (deployment.SIGN_UP_FUNCTION,)),
                    "many people try to create accounts, most without an invitation: the log of "
                    f"{deployment.SIGN_UP_FUNCTION} has the number; Cognito's mail may be used up",
                    above=MAX_SIGN_UPS,
                )
            )
        if settings.monthly_budget is not None and settings.region not in WITHOUT_BUDGETS:
            self._budget(settings.monthly_budget)
        self._dashboard()

    # ---- notification --------------------------------------------------------------------------

    def _add_notification(self, address: str) -> sns.Topic:
        topic = sns.Topic(self, "Topic", display_name="Conducto", enforce_ssl=True)
        topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def _alarm(
        self, name: str, metric: cloudwatch.IMetric, what: str, *, above: int = 0
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._settings.prefix}-{name}",
            alarm_description=f"Conducto: {what}. See docs/cloud.md.",
            metric=metric,
            threshold=above,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._topic is not None:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm

    # ---- metrics ------------------------------------------------------------------------------

    def _function(self, name: str) -> str:
        return deployment.function_name(self._settings.stage, name)

    def _sum(
        self, metric: str, functions: Sequence[str], label: str | None = None
    ) -> cloudwatch.MathExpression:
        if len(functions) > MAX_METRICS:
            raise ValueError(f"an alarm takes {MAX_METRICS} functions, got {len(functions)}")
        each = {
            f"{metric.lower()}_{name}": cloudwatch.Metric(
                namespace="AWS/Lambda",
                metric_name=metric,
                dimensions_map={"FunctionName": self._function(name)},
                statistic="Sum",
                period=_MINUTES,
            )
            for name in functions
        }
        return cloudwatch.MathExpression(
            expression=f"SUM([{','.join(each)}])",
            using_metrics=each,
            label=label or metric,
            period=_MINUTES,
        )

    def _sums(self, metric: str) -> list[cloudwatch.IMetric]:
        return [
            self._sum(metric, functions, label=f"{metric}: {_TITLES[group]}")
            for group, functions in WATCHED.items()
        ]

    def _table_throttles(self) -> cloudwatch.MathExpression:
        table = deployment.table_name(self._settings.stage)
        each = {
            name: cloudwatch.Metric(
                namespace="AWS/DynamoDB",
                metric_name=f"{name.capitalize()}ThrottleEvents",
                dimensions_map={"TableName": table},
                statistic="Sum",
                period=_MINUTES,
            )
            for name in ("read", "write")
        }
        # A metric that DynamoDB never reported must not make the sum undefined.
        return cloudwatch.MathExpression(
            expression="FILL(read,0) + FILL(write,0)",
            using_metrics=each,
            label="ThrottleEvents",
            period=_MINUTES,
        )

    def _usage_alarm(self) -> cloudwatch.Alarm:
        events = logs.LogGroup.from_log_group_name(
            self, "HookLogs", f"/aws/lambda/{self._function('hook_event')}"
        )
        self._lines("RefusedInMinute", REFUSED_USAGE, "RefusedUsage")
        return self._alarm(
            "RefusedUsage",
            self._lines("RefusedInEvent", REFUSED_USAGE, "RefusedUsage", events),
            "Stripe refuses usage, which is then not on an invoice: see the log of hook_event",
        )

    def _lines(
        self, name: str, message: str, metric: str, group: logs.ILogGroup | None = None
    ) -> cloudwatch.Metric:
        found = logs.MetricFilter(
            self,
            name,
            log_group=group or self._minutes,
            filter_pattern=logs.FilterPattern.string_value("$.message", "=", message),
            metric_namespace="Conducto",
            metric_name=f"{self._settings.stage}-{metric}",
        )
        return found.metric(statistic="Sum", period=_MINUTES)

    def _queue(self, api: ApiStack) -> sqs.Queue:
        """Return the queue of events that a function failed to handle three times."""
        queue = sqs.Queue(
            self,
            "Lost",
            queue_name=f"{self._settings.prefix}-lost",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.DESTROY,
        )
        for name in ASYNCHRONOUS:
            title = "".join(word.capitalize() for word in name.split("_"))
            policy = iam.Policy(
                self,
                f"{title}Loses",
                roles=[api.roles[name]],
                statements=[
                    iam.PolicyStatement(
                        sid="SendLostEvents",
                        actions=["sqs:SendMessage"],
                        resources=[queue.queue_arn],
                    )
                ],
            )
            config = lambda_.CfnEventInvokeConfig(
                self,
                f"{title}Invocations",
                function_name=self._function(name),
                qualifier="$LATEST",
                # The schedule repeats by itself; older events are outdated.
                maximum_retry_attempts=0 if name == "every_minute" else 2,
                maximum_event_age_in_seconds=3600,
                destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                    on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                        destination=queue.queue_arn
                    )
                ),
            )
            config.node.add_dependency(policy)  # Lambda validates the role's permission
        return queue

    def _budget(self, dollars: float) -> None:
        """Add a budget for the whole account: a budget by tag requires activated tags."""
        address = self._settings.alarm_email
        subscriber = budgets.CfnBudget.SubscriberProperty(
            address=address or "", subscription_type="EMAIL"
        )
        thresholds = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{self._settings.prefix}-{self.region}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
            ),
            notifications_with_subscribers=None
            if address is None
            else [
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[subscriber],
                )
                for kind, percent in thresholds
            ],
        )

    # ---- dashboard ----------------------------------------------------------------------------

    def _dashboard(self) -> None:
        board = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=f"{self._settings.prefix}-{self.region}"
        )
        board.add_widgets(cloudwatch.AlarmStatusWidget(alarms=self.alarms, width=24, height=3))
        board.add_widgets(
            self._graph("Invocations", self._sums("Invocations")),
            self._graph("Errors and throttles", [*self._sums("Errors"), *self._sums("Throttles")]),
            self._graph("Duration of requests", [self._took("p50"), self._took("p99")]),
        )
        board.add_widgets(
            self._graph("State machines", [self._machines(m) for m in _EXECUTIONS]),
            self._graph("Table throttles", [self._table_throttles()]),
            self._graph(
                "Lost events and failures",
                [
                    self.lost.metric_approximate_number_of_messages_visible(),
                    self._reconciles,
                    self._shells,
                ],
            ),
        )
        CfnOutput(
            self,
            "DashboardUrl",
            value=f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region="
            f"{self.region}#dashboards:name={self._settings.prefix}-{self.region}",
        )

    def _graph(self, title: str, left: list[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(title=title, left=left, width=8)

    def _took(self, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="Duration",
            dimensions_map={"FunctionName": self._function("api_handler")},
            statistic=statistic,
            label=statistic,
        )

    def _machines(self, metric: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(namespace="AWS/States", metric_name=metric, statistic="Sum")


_EXECUTIONS = ("ExecutionsStarted", "ExecutionsFailed", "ExecutionThrottled")
