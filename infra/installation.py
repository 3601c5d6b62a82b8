"""The stacks of one installation and their dependencies."""

import aws_cdk as cdk
from constructs import Construct

from conducto_core.installation.names import STAGE_TAG
from conducto_core.installation.rules import WITHOUT_SITE
from infra.settings import Settings
from infra.stacks.api import ApiStack
from infra.stacks.compute import ComputeStack
from infra.stacks.data import DataStack
from infra.stacks.monitoring import MonitoringStack
from infra.stacks.network import NetworkStack
from infra.stacks.site import SiteStack


class Installation:
    """All stacks of one stage.

    Attributes:
        network: The network of workers.
        data: Stateful resources, which are retained.
        compute: The cluster, the registry and image builds.
        api: The functions and their APIs.
        site: The web app; None in regions without CloudFront.
        watch: Alarms and a dashboard.
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
            description="Conducto: records, output and files; retained on deletion",
        )
        self.compute = ComputeStack(
            scope,
            f"{title}-compute",
            settings,
            self.network,
            self.data,
            description="Conducto: cluster, registry and image builds",
        )
        self.api = ApiStack(
            scope,
            f"{title}-api",
            settings,
            network=self.network,
            data=self.data,
            compute=self.compute,
            description="Conducto: the functions and their APIs",
        )
        self.watch = MonitoringStack(
            scope,
            f"{title}-watch",
            settings,
            api=self.api,
            description="Conducto: alarms and a dashboard",
        )
        self.site = None if settings.region in WITHOUT_SITE else self._site(scope, settings)
        cdk.Tags.of(scope).add(STAGE_TAG, settings.stage)

    def _site(self, scope: Construct, settings: Settings) -> SiteStack:
        site = SiteStack(
            scope,
            f"{settings.prefix}-site",
            settings,
            data=self.data,
            api=self.api,
            description="Conducto: the web app",
        )
        # Last, as in `conducto_core.installation.names.STACKS`.
        site.add_stack_dependency(self.watch)
        return site
