"""The double of Stripe in the emulator, and the settings of an installation that uses it."""

import json
from collections.abc import Mapping

import boto3  # type: ignore[import-untyped]

from conducto_core.model.deployment import Variables, billing_secret
from conducto_core.model.operations.operation import API_ROOT
from conducto_emulator.moto_server import free_port
from conducto_emulator.stripe_double.server import StripeDouble

_HOST = "127.0.0.1"
#: Cents per vCPU-second and per GB-second: the documented prices.
_RATES = ("0.001666666667", "0.000183333333")


class EmulatedBilling(StripeDouble):
    """The double on a port of this machine; 0 for a free one."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(_HOST, port or free_port(_HOST))

    def start_for(self, api: str, stage: str) -> Mapping[str, str]:
        """Start, and store the settings; return the variables of the functions."""
        self.start()
        settings = self.set_up(f"{api}{API_ROOT}/hooks/stripe", _RATES)
        name = billing_secret(stage)
        boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(settings))
        return {
            Variables.BILLING: "on",
            Variables.BILLING_SECRET: name,
            Variables.STRIPE_URL: self.url,
        }
