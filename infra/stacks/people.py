"""The accounts of people: a Cognito user pool, the page where they sign in, and the app's client.

The pool belongs to the stack of stateful resources, and is retained. Its client belongs to the
stack of the web app, whose address it needs. The stacks that use the pool read its id from SSM: an
export could not be removed while they import it, so the setting could not be turned off.
"""

from pathlib import Path

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from conducto_core.installation import names as deployment
from infra.settings import Settings, log_group

_SIGN_UP = Path(__file__).parents[1] / "aws" / "sign_up.py"


class People(Construct):
    """The user pool and its domain.

    People with an open invitation can create an account (`infra/aws/sign_up.py`). An account alone
    gives access to nothing: that takes the membership of an organisation (docs/decisions/0040).
    """

    def __init__(self, scope: Construct, settings: Settings, table: dynamodb.TableV2) -> None:
        super().__init__(scope, "People")
        pool = cognito.UserPool(
            self,
            "Pool",
            user_pool_name=settings.prefix,
            feature_plan=cognito.FeaturePlan.ESSENTIALS,
            self_sign_up_enabled=True,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            # An address counts only after its owner has confirmed it.
            keep_original=cognito.KeepOriginalAttrs(email=True),
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            password_policy=cognito.PasswordPolicy(min_length=12),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            email=_sender(self, settings),
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        pool.add_trigger(cognito.UserPoolOperation.PRE_SIGN_UP, self._sign_up(settings, table))
        cognito.CfnUserPoolDomain(
            self,
            "Domain",
            user_pool_id=pool.user_pool_id,
            domain=_domain(self, settings),
            managed_login_version=2,
        )
        ssm.CfnParameter(
            self,
            "PoolId",
            type="String",
            name=deployment.identity_pool_name(settings.stage),
            description="The user pool of the accounts of people",
            value=pool.user_pool_id,
        )

    def _sign_up(self, settings: Settings, table: dynamodb.TableV2) -> lambda_.Function:
        """Return the function in this stack: the pool must not exist without it."""
        name = deployment.function_name(settings.stage, deployment.SIGN_UP_FUNCTION)
        log = log_group(self, "SignUpLogs", settings, f"/aws/lambda/{name}")
        role = iam.Role(
            self,
            "SignUpRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Conducto: checks invitations before accounts are created",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="FindInvitations",
                actions=["dynamodb:Query"],
                resources=[table.table_arn],
                conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["V#*"]}},
            )
        )
        log.grant_write(role)
        function = lambda_.Function(
            self,
            "SignUp",
            function_name=name,
            description="Conducto: lets people with an invitation create an account",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline(_SIGN_UP.read_text()),
            role=role,
            log_group=log,
            # Cognito waits for at most five seconds.
            timeout=Duration.seconds(5),
            memory_size=256,
            environment={"TABLE": table.table_name},
        )
        plain = function.node.default_child
        assert isinstance(plain, lambda_.CfnFunction)  # noqa: S101  a type of the L2 construct
        # CDK adds a dependency on the role, to which the function refers anyway.
        plain.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
        return function


def _sender(scope: Construct, settings: Settings) -> cognito.UserPoolEmail | None:
    """Return the sender of Cognito's mail; None: Cognito's own, 50 a day in an account."""
    if settings.ses_identity is None:
        return None
    name, _, domain = settings.ses_identity.rpartition("@")
    return cognito.UserPoolEmail.with_ses(
        from_email=settings.ses_identity if name else f"no-reply@{domain}",
        ses_region=Stack.of(scope).region,
        ses_verified_domain=None if name else domain,
    )


def issuer(stack: Stack, settings: Settings) -> str:
    """Return the issuer of the pool's ID tokens, for another stack."""
    pool = _pool_id(stack, settings)
    return f"https://cognito-idp.{stack.region}.{stack.url_suffix}/{pool}"


def sign_in_origin(scope: Construct, settings: Settings) -> str:
    return f"https://{_domain(scope, settings)}.auth.{Stack.of(scope).region}.amazoncognito.com"


def _domain(scope: Construct, settings: Settings) -> str:
    return f"{settings.prefix}-{Stack.of(scope).account}"


def _providers(settings: Settings) -> list[cognito.UserPoolClientIdentityProvider]:
    kind = cognito.UserPoolClientIdentityProvider
    names = (settings.identity_providers or "").split(",")
    return [kind.COGNITO, *(kind.custom(name) for name in names if name)]


def _pool_id(stack: Stack, settings: Settings) -> str:
    name = deployment.identity_pool_name(settings.stage)
    return ssm.StringParameter.value_for_string_parameter(stack, name)


class AppClient(Construct):
    """The web app's client of the pool, a public one that needs PKCE.

    Attributes:
        settings: The content of the web app's file
            `conducto_core.installation.names.IDENTITY_FILE`.
    """

    def __init__(self, scope: Stack, settings: Settings, site: str) -> None:
        super().__init__(scope, "SignIn")
        pool = _pool_id(scope, settings)
        client = cognito.UserPoolClient(
            self,
            "Client",
            user_pool=cognito.UserPool.from_user_pool_id(self, "Pool", pool),
            supported_identity_providers=_providers(settings),
            generate_secret=False,
            auth_flows=cognito.AuthFlow(),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
                callback_urls=[f"{site}/signed-in"],
            ),
            id_token_validity=Duration.minutes(5),
            access_token_validity=Duration.minutes(5),
            refresh_token_validity=Duration.hours(1),
            enable_token_revocation=True,
            prevent_user_existence_errors=True,
        )
        CfnResource(
            self,
            "Branding",
            type="AWS::Cognito::ManagedLoginBranding",
            properties={
                "UserPoolId": pool,
                "ClientId": client.user_pool_client_id,
                "UseCognitoProvidedValues": True,
            },
        )
        ssm.CfnParameter(
            self,
            "ClientId",
            type="String",
            name=deployment.identity_client_name(settings.stage),
            description="The web app's client of the user pool",
            value=client.user_pool_client_id,
        )
        origin, identifier = sign_in_origin(self, settings), client.user_pool_client_id
        self.settings = {
            "issuer": issuer(scope, settings),
            "client": identifier,
            "authorize": f"{origin}/oauth2/authorize",
            "token": f"{origin}/oauth2/token",
        }
