"""The double of Stripe in the emulator, and the settings of an installation that uses it."""

import json
from collections.abc import Mapping

import boto3  # type: ignore[import-untyped]

from conducto_core.model.deployment import Variables, billing_secret, function_name
from conducto_core.model.operations.operation import API_ROOT
from conducto_emulator.stripe_double.server import StripeDouble

#: The function that processes webhook events.
HOOK_FUNCTION = "hook_event"
#: Cents per vCPU-second and per GB-second: the documented prices.
_RATES = ("0.001666666667", "0.000183333333")


def start(double: StripeDouble, api: str, stage: str) -> Mapping[str, str]:
    """Start the double and store its settings; return the variables of the functions."""
    double.start()
    settings = double.set_up(f"{api}{API_ROOT}/hooks/stripe", _RATES)
    name = billing_secret(stage)
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(settings))
    return {
        Variables.BILLING: "on",
        Variables.BILLING_SECRET: name,
        Variables.STRIPE_URL: double.url,
        Variables.HOOK_FUNCTION: function_name(stage, HOOK_FUNCTION),
    }
