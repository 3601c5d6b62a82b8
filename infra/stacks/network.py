"""The network of workers: public subnets without NAT gateways, which would cost money when idle.

An existing network may have private subnets with a route to the internet instead.
"""

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.settings import ExistingVpc, Settings

NFS = 2049


class NetworkStack(Stack):
    """A VPC and its security groups.

    Attributes:
        vpc: The network.
        subnets: The subnets of workers.
        workers: Security group of workers: all outbound traffic, no inbound traffic.
        files: Security group of the file system and of the function that reads it.
    """

    def __init__(self, scope: Construct, name: str, settings: Settings, **options: object) -> None:
        super().__init__(scope, name, **options)  # type: ignore[arg-type]
        self.vpc = (
            self._create_vpc(settings) if settings.vpc is None else self._existing(settings.vpc)
        )
        self.subnets = self.vpc.public_subnets
        self.workers = ec2.SecurityGroup(
            self,
            "Workers",
            vpc=self.vpc,
            description="Conducto workers: all outbound traffic, no inbound traffic",
            allow_all_outbound=True,
        )
        self.files = ec2.SecurityGroup(
            self,
            "Files",
            vpc=self.vpc,
            description="Conducto file system: NFS from workers and from the data function",
            allow_all_outbound=False,
        )
        self.files.add_ingress_rule(self.workers, ec2.Port.tcp(NFS), "workers mount data")
        self.files.add_ingress_rule(self.files, ec2.Port.tcp(NFS), "the data function mounts data")
        self.files.add_egress_rule(self.files, ec2.Port.tcp(NFS), "the data function mounts data")
        # The data function transfers large files through S3, by the gateway endpoint.
        self.files.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "S3")

    def _create_vpc(self, settings: Settings) -> ec2.IVpc:
        # Explicit names: ``Fn::GetAZs`` changes with the account's default subnets, and another
        # zone would replace the subnets and the file system.
        if settings.zone is None:
            raise ValueError("a new network needs the names of its zones")
        return ec2.Vpc(
            self,
            "Vpc",
            vpc_name=settings.prefix,
            ip_addresses=ec2.IpAddresses.cidr("10.71.0.0/16"),
            availability_zones=settings.zone.split(","),
            nat_gateways=0,
            # Each worker has an address in this network; a /20 has room for 4,000 in each zone.
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=20,
                    map_public_ip_on_launch=False,
                )
            ],
            restrict_default_security_group=False,  # that would add a custom resource function
            gateway_endpoints={  # free of charge, and traffic stays off the internet
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(
                    service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
                ),
            },
        )

    def _existing(self, vpc: ExistingVpc) -> ec2.IVpc:
        # Declared as public even if they are private: otherwise the mount target's id would
        # change, and it would have to be recreated in a subnet that already has one.
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=vpc.vpc_id,
            availability_zones=list(vpc.zones),
            public_subnet_ids=list(vpc.subnets),
        )
