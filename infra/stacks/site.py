"""The web app: files in a bucket, and a CloudFront distribution for them and the APIs.

The CloudFront functions are in ``infra/edge``.
"""

from pathlib import Path

from aws_cdk import CfnOutput, CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_deployment as s3_deployment
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from conducto_core.api.dispatch import DATA_POLICY, cloud_page, page_policy
from conducto_core.assistants.handlers import MCP_PATH, METADATA_PATH
from conducto_core.installation import names as deployment
from conducto_web import app_folder
from infra.settings import Settings, log_group
from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack
from infra.stacks.people import AppClient, sign_in_origin
from infra.stacks.private_bucket import private_bucket

#: Directory of the CloudFront functions.
EDGE = Path(__file__).resolve().parent.parent / "edge"
_PAGE = "index.html"
_NOT_BUILT = (
    "<!doctype html><title>Conducto</title>"
    "<p>This deployment does not include the web app; use the command line.\n"
)
_YEAR = 31_536_000
#: Error responses, which CloudFront would otherwise cache for ten seconds and serve to others.
_ERRORS = (400, 403, 404, 405, 414, 500, 501, 502, 503, 504)


class SiteStack(Stack):
    """The bucket and the distribution.

    Attributes:
        distribution: The CloudFront distribution.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        settings: Settings,
        *,
        data: DataStack,
        api: ApiStack,
        **options: object,
    ) -> None:
        super().__init__(scope, name, **options)  # type: ignore[arg-type]
        self._settings = settings
        self._api = api
        bucket = self._bucket()
        files = origins.S3BucketOrigin.with_origin_access_control(bucket)
        provider = [] if settings.identity is None else [sign_in_origin(self, settings)]
        pages = page_policy(f"https://{data.bucket.bucket_regional_domain_name}", *provider)
        self.distribution = self._distribution(files, pages)
        built = web_app()
        page = cloud_page((built / _PAGE).read_text("utf-8"))
        s3_deployment.BucketDeployment(
            self,
            "Files",
            sources=[
                s3_deployment.Source.asset(str(built), exclude=[_PAGE]),
                s3_deployment.Source.data(_PAGE, page),
                *self._sign_in(),
            ],
            destination_bucket=bucket,
            log_group=self._log_group(),
            prune=False,  # open pages still need the files of their version
            retain_on_delete=False,
        )
        for part in self.node.find_all():  # CDK's own function repeats a dependency
            if CfnResource.is_cfn_resource(part) and isinstance(part, lambda_.CfnFunction):
                part.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
        url = f"https://{self._domain()}"
        ssm.CfnParameter(
            self,
            "WebApp",
            type="String",
            name=deployment.web_app_name(settings.stage),
            description="The address of Conducto's web app",
            value=url,
        )
        CfnOutput(self, "SiteUrl", value=url, description="The web app")
        if settings.domain is not None:
            CfnOutput(
                self,
                "SiteTarget",
                value=self.distribution.distribution_domain_name,
                description=f"The target of the CNAME record of {settings.domain}",
            )

    def _sign_in(self) -> list[s3_deployment.ISource]:
        if self._settings.identity is None:
            return []
        client = AppClient(self, self._settings, f"https://{self._domain()}")
        name = deployment.IDENTITY_FILE.removeprefix("/")
        return [s3_deployment.Source.json_data(name, client.settings)]

    def _log_group(self) -> logs.LogGroup:
        """Return the log group of CDK's function that copies the files."""
        path = f"/{self._settings.prefix}/web-app-files"
        return log_group(self, "FilesLogs", self._settings, path)

    def _domain(self) -> str:
        return self._settings.domain or self.distribution.distribution_domain_name

    def _bucket(self) -> s3.Bucket:
        return private_bucket(
            self,
            "Site",
            removal_policy=RemovalPolicy.DESTROY,  # the bucket only holds copies
        )

    def _distribution(self, files: cloudfront.IOrigin, pages: str) -> cloudfront.Distribution:
        settings = self._settings
        certificate = (
            None
            if settings.certificate is None
            else acm.Certificate.from_certificate_arn(self, "Certificate", settings.certificate)
        )
        return cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"Conducto, stage {settings.stage}",
            domain_names=None if settings.domain is None else [settings.domain],
            certificate=certificate,
            # CloudFront ignores it without a custom certificate.
            minimum_protocol_version=None
            if certificate is None
            else cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            default_root_object=_PAGE,
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=Duration.seconds(0))
                for status in _ERRORS
            ],
            default_behavior=cloudfront.BehaviorOptions(
                origin=files,
                # The page is small, and a new version must be visible at once.
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=self._headers("Pages", pages, "no-cache"),
                function_associations=self._function(
                    "Pages", "Serves the web app's page for its paths"
                ),
            ),
            additional_behaviors=self._behaviors(files, pages),
        )

    def _behaviors(
        self, files: cloudfront.IOrigin, pages: str
    ) -> dict[str, cloudfront.BehaviorOptions]:
        """Return the behaviors of paths that the page does not serve."""
        keep = f"public, max-age={_YEAR}, immutable"
        sessions = self._function("Sessions", "Replaces the web app's cookie by its token")
        rest = self._origin("RestAPI", path="/api")  # the API's stage
        responses = self._headers("Responses", DATA_POLICY, "no-store")
        # Assistants send a token: a session of the web app counts for nothing there.
        assistants = cloudfront.BehaviorOptions(
            origin=rest,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            response_headers_policy=responses,
        )
        return {
            # Their names contain a digest of their content.
            "/assets/*": cloudfront.BehaviorOptions(
                origin=files,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=self._headers("Assets", pages, keep),
            ),
            "/session": cloudfront.BehaviorOptions(
                origin=files,  # never requested: the function responds
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                function_associations=sessions,
            ),
            "/socket": cloudfront.BehaviorOptions(
                origin=self._origin("WebsocketAPI"),
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                origin_request_policy=(
                    cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER
                ),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                function_associations=sessions,
            ),
            "/api/*": cloudfront.BehaviorOptions(
                origin=rest,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                origin_request_policy=(
                    cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER
                ),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                response_headers_policy=responses,
                function_associations=sessions,
            ),
            MCP_PATH: assistants,
            METADATA_PATH: assistants,
        }

    def _origin(self, api: str, path: str | None = None) -> origins.HttpOrigin:
        found: CfnResource = self._api.app.get_resource(api)
        return origins.HttpOrigin(
            f"{found.ref}.execute-api.{self.region}.{self.url_suffix}",
            origin_path=path,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
        )

    def _function(self, name: str, what: str) -> list[cloudfront.FunctionAssociation]:
        """Return an association of the function ``name`` of ``infra/edge`` with viewer requests."""
        function = cloudfront.Function(
            self,
            f"App{name}",
            code=cloudfront.FunctionCode.from_file(file_path=str(EDGE / f"{name.lower()}.js")),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            comment=what,
        )
        return [
            cloudfront.FunctionAssociation(
                event_type=cloudfront.FunctionEventType.VIEWER_REQUEST, function=function
            )
        ]

    def _headers(self, name: str, policy: str, cache: str) -> cloudfront.ResponseHeadersPolicy:
        """Return the same headers as `conducto_local.server.static_files`."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            name,
            response_headers_policy_name=f"{self._settings.prefix}-{self.region}-{name.lower()}",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=policy, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365),
                    include_subdomains=False,
                    override=True,
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(header=header, value=value, override=True)
                    for header, value in (
                        ("cache-control", cache),
                        ("cross-origin-opener-policy", "same-origin"),
                        ("cross-origin-resource-policy", "same-origin"),
                    )
                ]
            ),
        )


def web_app() -> Path:
    built = app_folder()
    if (built / _PAGE).is_file():
        return built
    instead = Path("build", "no-web-app").resolve()
    instead.mkdir(parents=True, exist_ok=True)
    (instead / _PAGE).write_text(_NOT_BUILT, "utf-8")
    return instead
