"""The stacks of one installation, and how they hang together."""

import aws_cdk as cdk
from constructs import Construct

from infra.settings import Settings
from infra.stacks.compute import ComputeStack
from infra.stacks.data import DataStack
from infra.stacks.network import NetworkStack


class Installation:
    """Everything that one stage has.

    Attributes:
        network: Where workers run.
        data: What outlives the rest.
        compute: What runs commands and builds images.
    """

    def __init__(self, scope: Construct, settings: Settings) -> None:
        title = settings.prefix
        self.network = NetworkStack(
            scope, f"{title}-network", settings, description="Conducto: network of workers"
        )
        self.data = DataStack(
            scope,
            f"{title}-data",
            settings,
            self.network,
            description="Conducto: records, output and files; kept when the rest is removed",
        )
        self.compute = ComputeStack(
            scope,
            f"{title}-compute",
            settings,
            self.data,
            description="Conducto: what runs commands and builds images",
        )
        cdk.Tags.of(scope).add("conducto:stage", settings.stage)
