"""The accounts of people: a Cognito user pool, the page where they sign in, and the app's client.

The pool belongs to the stack of stateful resources, and is retained. Its client belongs to the
stack of the web app, whose address it needs.
"""

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from conducto_core.model import deployment
from infra.settings import Settings


class People(Construct):
    """The user pool and its domain.

    Anybody can create an account, as with the link of an invitation. An account alone gives access
    to nothing: that takes the membership of an organisation (docs/decisions/0040).

    Attributes:
        pool: The accounts.
        issuer: The issuer of their ID tokens.
        origin: The origin of the sign-in page.
    """

    def __init__(self, scope: Construct, settings: Settings) -> None:
        super().__init__(scope, "People")
        stack = Stack.of(self)
        self.pool = cognito.UserPool(
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
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        name = f"{settings.prefix}-{stack.account}"
        cognito.CfnUserPoolDomain(
            self,
            "Domain",
            user_pool_id=self.pool.user_pool_id,
            domain=name,
            managed_login_version=2,
        )
        self.issuer = (
            f"https://cognito-idp.{stack.region}.{stack.url_suffix}/{self.pool.user_pool_id}"
        )
        self.origin = f"https://{name}.auth.{stack.region}.amazoncognito.com"


class AppClient(Construct):
    """The web app's client of the pool, a public one that needs PKCE.

    Attributes:
        settings: The content of the web app's file `conducto_core.model.deployment.IDENTITY_FILE`.
    """

    def __init__(self, scope: Construct, settings: Settings, people: People, site: str) -> None:
        super().__init__(scope, "SignIn")
        client = cognito.UserPoolClient(
            self,
            "Client",
            # By its attributes, so that the pool's stack does not depend on this one.
            user_pool=cognito.UserPool.from_user_pool_id(self, "Pool", people.pool.user_pool_id),
            generate_secret=False,
            auth_flows=cognito.AuthFlow(),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
                callback_urls=[f"{site}/signed-in"],
                logout_urls=[f"{site}/"],
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
                "UserPoolId": people.pool.user_pool_id,
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
        origin, identifier = people.origin, client.user_pool_client_id
        self.settings = {
            "issuer": people.issuer,
            "client": identifier,
            "authorize": f"{origin}/oauth2/authorize",
            "token": f"{origin}/oauth2/token",
            "logout": f"{origin}/logout?client_id={identifier}&logout_uri={site}/",
        }
