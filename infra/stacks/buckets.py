"""Buckets that commands mount: file systems of S3 Files, their access points, and roles.

They are in the stack of the functions, whose variables have their ids: an export to another stack
could not be removed together with a bucket.
"""

from aws_cdk import CfnOutput, Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3files as s3files
from constructs import Construct

from conducto.wire.buckets import Bucket
from conducto_core.buckets.rules import RegisteredBucket, role_digest, urls_of
from conducto_core.installation.names import Variables, bucket_role_name
from infra.settings import Settings
from infra.stacks.compute import open_channels
from infra.stacks.data import DataStack
from infra.stacks.network import NetworkStack
from infra.stacks.s3files import mount_targets, reading, synchronising_role


class _Files(Construct):
    """The file system of a bucket with its access point.

    Attributes:
        system: The file system.
        point: The access point, whose users are all uid 0, as objects have no other owner.
        arn: ARN of the bucket.
        prefix: The prefix in it.
    """

    def __init__(
        self, scope: Construct, name: str, bucket: Bucket, network: NetworkStack, *, write: bool
    ) -> None:
        super().__init__(scope, name)
        self.arn = f"arn:{Stack.of(self).partition}:s3:::{bucket.name}"
        self.prefix = bucket.prefix
        role = synchronising_role(self, "Role", self.arn, bucket.prefix, write=write)
        self.system = s3files.CfnFileSystem(
            self,
            "Files",
            bucket=self.arn,
            prefix=f"{bucket.prefix}/" if bucket.prefix else None,
            role_arn=role.role_arn,
        )
        self.system.node.add_dependency(role.node.find_child("DefaultPolicy"))
        mount_targets(self, self.system, network)
        self.point = s3files.CfnAccessPoint(
            self,
            "Point",
            file_system_id=self.system.attr_file_system_id,
            posix_user=s3files.CfnAccessPoint.PosixUserProperty(uid="0", gid="0"),
            root_directory=s3files.CfnAccessPoint.RootDirectoryProperty(path="/"),
        )


class Buckets(Construct):
    """The registered buckets of an installation."""

    def __init__(
        self, scope: Stack, settings: Settings, network: NetworkStack, data: DataStack
    ) -> None:
        super().__init__(scope, "Buckets")
        self._settings = settings
        self._known = settings.registered_buckets
        self._data = data
        writable = {each.url for each in self._known if each.mode == "rw"}
        self._files = {
            url: _Files(self, f"Of{number}", Bucket(url), network, write=url in writable)
            for number, url in enumerate(urls_of(self._known))
        }
        for org in dict.fromkeys(each.org for each in self._known):
            self._role(org, for_shells=False)
            if settings.opens_shells:
                self._role(org, for_shells=True)
        self._let_named_roles_mount()

    def variables(self) -> dict[str, str]:
        """Return the variables of functions; none without buckets."""
        if not self._known:
            return {}
        ids = (
            Fn.join("/", [each.system.attr_file_system_id, each.point.attr_access_point_id])
            for each in self._files.values()
        )
        return {
            Variables.BUCKETS: str(self._settings.buckets),
            Variables.BUCKET_FILES: Fn.join(",", list(ids)),
        }

    def _role(self, org: str, *, for_shells: bool) -> None:
        """Create the role of the workers of an organisation, or of its shells, with buckets."""
        name = bucket_role_name(
            self._settings.stage, self._settings.region, role_digest(org), for_shells=for_shells
        )
        role = iam.Role(
            self,
            f"{'Shell' if for_shells else 'Worker'}{role_digest(org)}",
            role_name=name,
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description="Conducto: mounts data, and the buckets of one organisation",
        )
        for statement in (self._data.files.mounting(), *self._mounting(org)):
            role.add_to_policy(statement)
        if for_shells:
            role.add_to_policy(open_channels())

    def _mounting(self, *orgs: str) -> list[iam.PolicyStatement]:
        """Return the statements for mounting the buckets of organisations, and reading them.

        S3 Files reads large files from the bucket itself, with the role of the task.
        """
        wanted: dict[str, list[RegisteredBucket]] = {}
        for each in self._known:
            if each.org in orgs:
                wanted.setdefault(each.url, []).append(each)
        found: list[iam.PolicyStatement] = []
        for number, (url, registered) in enumerate(wanted.items()):
            files = self._files[url]
            mode = "rw" if any(each.mode == "rw" for each in registered) else "ro"
            found.append(_mount(f"MountBucket{number}", files, mode))
            found += reading(f"ReadBucket{number}", files.arn, files.prefix)
        return found

    def _let_named_roles_mount(self) -> None:
        """Add the statements to the roles that the administrator configured for commands.

        A task has one role, so commands with such a role mount buckets with it.
        """
        orgs: dict[str, list[str]] = {}
        for role in self._settings.named_roles:
            orgs.setdefault(role.name, []).append(role.org)
        for number, (name, owners) in enumerate(orgs.items()):
            statements = self._mounting(*owners)
            if not statements:
                continue
            policy = iam.PolicyDocument(statements=statements)
            if self._settings.mount_policy:
                iam.CfnPolicy(
                    self,
                    f"Named{number}",
                    policy_name=f"{self._settings.prefix}-{self._settings.region}-buckets",
                    policy_document=policy,
                    roles=[name],
                )
            else:
                stack = Stack.of(self)
                CfnOutput(
                    stack,
                    f"BucketPolicy{number}",
                    value=stack.to_json_string(policy),
                    description=f"The policy that the role {name} needs for buckets",
                )


def _mount(sid: str, files: _Files, mode: str) -> iam.PolicyStatement:
    # ClientRootAccess because the access point maps every user to uid 0.
    actions = ["s3files:ClientMount", "s3files:ClientRootAccess"]
    return iam.PolicyStatement(
        sid=sid,
        actions=actions + (["s3files:ClientWrite"] if mode == "rw" else []),
        resources=[files.system.attr_file_system_arn],
        conditions={"ArnEquals": {"s3files:AccessPointArn": files.point.attr_access_point_arn}},
    )
