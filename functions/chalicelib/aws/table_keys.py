"""The kinds of items in the table, and their keys.

==============================  ====================  ========================================
partition                       sort                  content
==============================  ====================  ========================================
``P#<pipeline>``                ``R``                 the record, and where its definition is
``P#<pipeline>``                ``E#<number>``        an entry of the journal, and its state changes
``P#<pipeline>``                ``F``                 whose turn it is to write entries
``P#<pipeline>``                ``X#<number>``        attempts of an entry, not yet written
``P#<pipeline>``                ``M#<number>``        notifications of an entry
``P#<pipeline>``                ``N#<path>#<n>``      number of pipelines that an attempt launched
``P#<pipeline>``                ``S``                 the latest snapshot
``P#<pipeline>``                ``W#<worker>``        time of a worker's launch or heartbeat
``X#<pipeline>#<part>``         ``<path>#<n>``        an attempt that ended
``W#<pipeline>``                ``<id>``              an input that waits for an entry
``R``                           ``R``                 when the bucket of launches is full
``Z``                           ``Z``                 the pipeline whose storage was measured last
``F#<pipeline or user>``        ``F``                 access point of its data
``L#<stream of an attempt>``    ``<offset>``          a chunk of output
``L#<pipeline>``                ``<stream>``          a stream that has chunks
``L#<pipeline>``                ``reader``            until when a client follows the output
``O#<org>``                     ``O``                 plan, workers now, and reserved ones
``O#<org>``                     ``S#<pipeline>``      a pipeline's share of them
``O#<org>``                     ``B``                 its subscription
``O#<org>``                     ``N#<kind>``          an e-mail about billing, to be sent
``O#<org>``                     ``M``, ``M#<user>``   number of owners, and a member
``O#<org>``                     ``L#<user>``          a member who left
``O#<org>``                     ``V#<SHA-256>``       an invitation
``O#<org>``                     ``H``                 named limits: holders and waiting commands
``O#<org>``                     ``E``                 totals of attempts and runs, for metrics
``A#<org>#<month>``             ``<time>#<id>``       a request that did more than read
``U#<org>#<month>#<part>``      ``T``                 a part of the usage
``U#<org>#<month>#<part>``      ``K#<key>``           marks of metered usage
``U#<org>#<month>#<part>``      ``P#<pipeline>``      usage of a pipeline
``U#<org>#<month>``             ``H#<hour>``          charged usage in an hour
``B#<org>``                     ``<worker>#<since>``  charged time of a worker
``E#<event>``                   ``E``                 an event of the payment provider
``T#<SHA-256>``                 ``T``                 a token
``H#<SHA-256 of a person>``      ``O#<org>``           user id of a person in an organisation
``O#<org>``                     ``I#<name>``          a trust in CI runs
``O#<org>``                     ``R#<name>``          a rule that sends notifications
``O#<org>``                     ``K#<name>``          the quarantine of a test
``O#<org>``                     ``G#<name>``          a git trigger
``O#<org>``                     ``A#<name>``          a GitHub App
``O#<org>``                     ``Q#<time>.<key>``    a launch that waits for room in the plan
``G#<org>#<trigger>``           ``D#<time>-<id>``     a webhook that it received
``G#<org>#<trigger>``           ``I#<SHA-256>``       mark of the provider's id of a webhook
``J#<SHA-256>``                 ``J``                 an ID token that was used
``V#<SHA-256 of an address>``   ``<org>#<SHA-256>``   that the address has an open invitation
``S#<scope>``                   ``C``                 which AWS secret has the secrets of a scope
``S#<scope>``                   ``V#<version>``       an AWS secret that may exist
``D#<pipeline>``                ``<shell>``           a debug shell on a worker of its own
``C#<pipeline>``                ``<connection>``      follower of a pipeline
``N#<connection>``              ``N``                 owner of a connection, and its pipeline
``N``                           ``<connection>``      token that opened a connection
``I#<org and user>#<key>``      ``I``                 response to an idempotent request
``K#<org>``                     ``A#<agent>``         a linked agent
``K#<org>``                     ``P#<agent>#<id>``    a pipeline that an agent reported
``K#<org>``                     ``F#<agent>#<id>``    a pipeline of an agent with followers
``Q#<org>#<agent>``             ``<slot>``            a request that is relayed to an agent
``Q#<org>#<agent>#<request>``   ``<number>``          a part of the response to it
``Y#<org>``                     ``<name>``            a schedule
``Y#<org>#<name>``              ``<firing>``          a firing of a schedule
``Y#<org>#<name>``              ``!<mark>``           an event of a trigger, with its payload
``Y@<ARN>``                     ``Q``                 the trigger that a queue of SQS fires
``M#<org>``                     ``K#<key>``           an entry of the cache
``M#<org>``                     ``N#<SHA-256>``       the newest entry of a node
``M#<org>``                     ``F#<key>``           the command that runs, of equal ones
``M#<org>``                     ``W#<key>#<id>``      a pipeline that waits for its outcome
==============================  ====================  ========================================
"""

from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from chalicelib.run.rules.snapshots import Kind

_DIGITS = 12
#: Number of partitions of a pipeline's attempts, and of an organisation's usage in a month.
PARTS = 8
#: Sorts after every character of a key; DynamoDB sorts by UTF-8 bytes.
LAST = "\U0010ffff"
#: Sorts before every character of a path, so that keys of attempts sort like their paths.
_END = "\x01"
_MAX_PATH = 800
#: Kinds of items by the first letter of their partition; those of a pipeline by their sort key.
_KINDS: dict[str, Kind] = {
    "F": "files",
    "L": "chunk",
    "T": "token",
    "H": "person",
    "J": "used",
    "S": "secret",
    "V": "invited",
    "D": "shell",
    "C": "follower",
    "N": "connection",
    "A": "audit",
    "I": "answer",
    "B": "meter",
    "E": "hook event",
    "Q": "relayed",
    "W": "waiting",
    "X": "attempt",
    "G": "delivery",
    "R": "pace",
    "Z": "measured last",
    "M": "cache",
}
_OF_AN_ORG: dict[str, Kind] = {
    "O": "org",
    "S": "share",
    "M": "member",
    "B": "account",
    "N": "mail",
    "I": "trust",
    "R": "notification rule",
    "G": "trigger",
    "A": "GitHub App",
    "K": "quarantine",
    "Q": "queued launch",
    "V": "invitation",
    "H": "limits",
    "E": "telemetry",
    "L": "member",
}
_OF_A_MONTH: dict[str, Kind] = {"T": "usage", "K": "metered", "P": "spent", "H": "hour"}
_OF_AGENTS: dict[str, Kind] = {"A": "agent", "P": "reported", "F": "followed", "S": "agent shell"}
_OF_A_PIPELINE: dict[str, Kind] = {
    "R": "record",
    "E": "entry",
    "F": "turn",
    "X": "spilled",
    "M": "outgoing",
    "N": "children",
    "S": "snapshot",
    "W": "sign of life",
    "B": "measured",
}


class Key(NamedTuple):
    """The key of an item."""

    partition: str
    sort: str


def kind_of(key: Key) -> Kind:
    match key.partition[0]:
        case "P":
            return _OF_A_PIPELINE[key.sort[0]]
        case "U":
            return _OF_A_MONTH[key.sort[0]]
        case "K":
            return _OF_AGENTS[key.sort[0]]
        case "Y":
            kind = "firing" if "#" in key.partition[2:] else "schedule"
            return "queue" if key.partition[1] == "@" else kind
        case "O":
            return "members" if key.sort == "M" else _OF_AN_ORG[key.sort[0]]
        case letter:
            return _KINDS[letter]


def pipeline(pipeline_id: str) -> str:
    """Return the partition of a pipeline."""
    return f"P#{pipeline_id}"


def record(pipeline_id: str) -> Key:
    return Key(pipeline(pipeline_id), "R")


def entry(pipeline_id: str, number: int) -> Key:
    return Key(pipeline(pipeline_id), f"E#{number:0{_DIGITS}}")


def turn(pipeline_id: str) -> Key:
    """Return the key of the turn, which is next after the entries."""
    return Key(pipeline(pipeline_id), "F")


def waiting(pipeline_id: str, submitted: str) -> Key:
    """Return the key of an input that waits for an entry."""
    return Key(f"W#{pipeline_id}", submitted)


def attempts_of(path: str) -> str:
    """Return the prefix of the sort keys of a node's attempts.

    A sort key is limited to 1,024 bytes; a longer path is cut and made unique by its hash.
    """
    raw = path.encode()
    if len(raw) > _MAX_PATH:
        path = raw[:_MAX_PATH].decode(errors="ignore") + _END + sha256(raw).hexdigest()[:32]
    return f"{path}{_END}"


def part_of(name: str) -> int:
    """Return the number of the partition of something that is spread over `PARTS`.

    DynamoDB writes 1,000 units a second to one partition.
    """
    return crc32(name.encode()) % PARTS


def attempts(pipeline_id: str, part: int) -> str:
    """Return a partition of a pipeline's attempts."""
    return f"X#{pipeline_id}#{part:02}"


def attempt(pipeline_id: str, path: str, number: int) -> Key:
    sort = f"{attempts_of(path)}{number:0{_DIGITS}}"
    return Key(attempts(pipeline_id, part_of(path)), sort)


def children(pipeline_id: str, path: str, number: int) -> Key:
    """Return the key of the number of pipelines that an attempt launched."""
    return Key(pipeline(pipeline_id), f"N#{attempts_of(path)}{number:0{_DIGITS}}")


def spilled(pipeline_id: str, number: int) -> Key:
    """Return the key of attempts that are still to be written separately."""
    return Key(pipeline(pipeline_id), f"X#{number:0{_DIGITS}}")


def outgoing(pipeline_id: str, number: int) -> Key:
    """Return the key of the notifications of an entry."""
    return Key(pipeline(pipeline_id), f"M#{number:0{_DIGITS}}")


def snapshot(pipeline_id: str) -> Key:
    return Key(pipeline(pipeline_id), "S")


def worker(pipeline_id: str, worker_id: str) -> Key:
    """Return the key of a worker's heartbeat."""
    return Key(pipeline(pipeline_id), f"W#{worker_id}")


def schedule(org_name: str, name: str) -> Key:
    return Key(f"Y#{org_name}", name)


def firing(org_name: str, name: str, firing_id: str) -> Key:
    return Key(f"Y#{org_name}#{name}", firing_id)


def event(org_name: str, name: str, mark: str) -> Key:
    """Return the key of an event, which sorts before all firings."""
    return Key(f"Y#{org_name}#{name}", f"!{mark}")


def queue(arn: str) -> Key:
    """Return the key of the trigger that a queue of SQS fires."""
    return Key(f"Y@{arn}", "Q")


def files(name: str) -> Key:
    """Return the key of an access point."""
    return Key(f"F#{name}", "F")


def org(name: str) -> Key:
    return Key(f"O#{name}", "O")


def share(org_name: str, pipeline_id: str) -> Key:
    """Return the key of a pipeline's share of an organisation's workers."""
    return Key(org(org_name).partition, f"S#{pipeline_id}")


def members(org_name: str) -> Key:
    """Return the key of the number of an organisation's owners."""
    return Key(org(org_name).partition, "M")


def member(org_name: str, user: str) -> Key:
    return Key(org(org_name).partition, f"M#{user}")


def former_member(org_name: str, user: str) -> Key:
    """Return the key of a member who left."""
    return Key(org(org_name).partition, f"L#{user}")


def invitation(org_name: str, digest: str) -> Key:
    return Key(org(org_name).partition, f"V#{digest}")


def telemetry(org_name: str) -> Key:
    """Return the key of an organisation's totals of attempts and runs."""
    return Key(org(org_name).partition, "E")


def limits(org_name: str) -> Key:
    """Return the key of an organisation's named limits."""
    return Key(org(org_name).partition, "H")


def cached(org_name: str, key: str) -> Key:
    return Key(f"M#{org_name}", f"K#{key}")


def cached_node(org_name: str, digest: str) -> Key:
    """Return the key of the newest entry of a node of a program."""
    return Key(f"M#{org_name}", f"N#{digest}")


def flight(org_name: str, key: str) -> Key:
    """Return the key of the flight of equal commands."""
    return Key(f"M#{org_name}", f"F#{key}")


def flight_waiter(org_name: str, key: str, pipeline_id: str) -> Key:
    """Return the key of the mark of a pipeline that waits for a flight."""
    return Key(f"M#{org_name}", f"W#{key}#{pipeline_id}")


def audit(org_name: str, month: str, entry_id: str) -> Key:
    return Key(f"A#{org_name}#{month}", entry_id)


def usage(org_name: str, month: str, part: int) -> Key:
    """Return the key of a part of an organisation's usage in a month."""
    return Key(f"U#{org_name}#{month}#{part:02}", "T")


def metered(org_name: str, month: str, key: str) -> Key:
    """Return the key that marks usage as metered."""
    mark = f"K#{sha256(key.encode()).hexdigest()}"
    return Key(usage(org_name, month, part_of(key)).partition, mark)


def spent(org_name: str, month: str, pipeline_id: str) -> Key:
    """Return the key of a pipeline's usage in a month."""
    return Key(usage(org_name, month, part_of(pipeline_id)).partition, f"P#{pipeline_id}")


def measured(pipeline_id: str) -> Key:
    """Return the key of the last measurement of what a pipeline stores."""
    return Key(pipeline(pipeline_id), "B")


def measured_last() -> Key:
    """Return the key of the last pipeline of the daily measurement of storage."""
    return Key("Z", "Z")


def account(org_name: str) -> Key:
    """Return the key of an organisation's subscription."""
    return Key(org(org_name).partition, "B")


def mail(org_name: str, kind: str) -> Key:
    """Return the key of an e-mail that waits to be sent."""
    return Key(org(org_name).partition, f"N#{kind}")


def hour(org_name: str, month: str, start: int) -> Key:
    """Return the key of an organisation's charged usage in the hour that begins at ``start``."""
    return Key(f"U#{org_name}#{month}", f"H#{start:0{_DIGITS}}")


def meter(org_name: str, worker_id: str, since: float) -> Key:
    """Return the key of the charged time of a worker under a subscription."""
    return Key(f"B#{org_name}", f"{worker_id}#{since!r}")


def hook_event(event_id: str) -> Key:
    """Return the key of an event of the payment provider."""
    return Key(f"E#{event_id}", "E")


def token(digest: str) -> Key:
    return Key(f"T#{digest}", "T")


def person(issuer: str, subject: str, org_name: str) -> Key:
    """Return the key of a person's user id in an organisation."""
    return Key(f"H#{sha256(f'{issuer}|{subject}'.encode()).hexdigest()}", f"O#{org_name}")


def trust(org_name: str, name: str) -> Key:
    """Return the key of a trust in CI runs."""
    return Key(org(org_name).partition, f"I#{name}")


def notification_rule(org_name: str, name: str) -> Key:
    """Return the key of a rule that sends notifications."""
    return Key(org(org_name).partition, f"R#{name}")


def quarantine(org_name: str, name: str) -> Key:
    """Return the key of the quarantine of a test."""
    return Key(org(org_name).partition, f"K#{name}")


def trigger(org_name: str, name: str) -> Key:
    """Return the key of a git trigger."""
    return Key(org(org_name).partition, f"G#{name}")


def github_app(org_name: str, name: str) -> Key:
    """Return the key of an organisation's GitHub App."""
    return Key(org(org_name).partition, f"A#{name}")


def queued_launch(org_name: str, turn: str) -> Key:
    """Return the key of a launch that waits for room in the plan."""
    return Key(org(org_name).partition, f"Q#{turn}")


def delivery(org_name: str, trigger_name: str, delivery_id: str) -> Key:
    """Return the key of a webhook that a trigger received."""
    return Key(f"G#{org_name}#{trigger_name}", f"D#{delivery_id}")


def delivery_mark(org_name: str, trigger_name: str, identity: str) -> Key:
    """Return the key that marks a provider's id of a webhook as known."""
    digest = sha256(identity.encode()).hexdigest()
    return Key(f"G#{org_name}#{trigger_name}", f"I#{digest}")


def delivery_count(org_name: str, trigger_name: str, minute: int) -> Key:
    """Return the key of the number of webhooks that a trigger received in a minute."""
    return Key(f"G#{org_name}#{trigger_name}", f"M#{minute}")


def watched_app(org_name: str) -> Key:
    """Return the key that marks an organisation's GitHub App as one with webhooks."""
    return Key(f"G#{org_name}#~github", "W")


def invited(email: str, org_name: str, digest: str) -> Key:
    """Return the key that marks an address as invited (`infra/aws/sign_up.py` reads it)."""
    return Key(f"V#{sha256(email.casefold().encode()).hexdigest()}", f"{org_name}#{digest}")


def used(digest: str) -> Key:
    """Return the key that marks an ID token as used."""
    return Key(f"J#{digest}", "J")


def current_secret(scope: str) -> Key:
    """Return the key of the name of the AWS secret that has a scope's secrets."""
    return Key(f"S#{scope}", "C")


def secret_version(scope: str, version: str) -> Key:
    """Return the key of an AWS secret of a scope that may exist."""
    return Key(f"S#{scope}", f"V#{version}")


def launch_pace() -> Key:
    """Return the key of the token bucket of launches."""
    return Key("R", "R")


def shell(pipeline_id: str, shell_id: str) -> Key:
    """Return the key of a debug shell."""
    return Key(f"D#{pipeline_id}", shell_id)


def follower(pipeline_id: str, connection: str) -> Key:
    """Return the key of a connection among the followers of a pipeline."""
    return Key(f"C#{pipeline_id}", connection)


def connection(name: str) -> Key:
    return Key(f"N#{name}", "N")


def open_connection(name: str) -> Key:
    """Return the key of a connection among all open connections."""
    return Key("N", name)


def response(scope: str, key: str) -> Key:
    """Return the key of an idempotent response."""
    return Key(f"I#{sha256(scope.encode()).hexdigest()[:32]}#{key}", "I")


def agent(org_name: str, agent_id: str) -> Key:
    """Return the key of a linked agent."""
    return Key(f"K#{org_name}", f"A#{agent_id}")


def reported(org_name: str, agent_id: str, pipeline_id: str) -> Key:
    return Key(f"K#{org_name}", f"P#{agent_id}#{pipeline_id}")


def followed(org_name: str, agent_id: str, pipeline_id: str) -> Key:
    """Return the key of a pipeline of an agent that somebody follows."""
    return Key(f"K#{org_name}", f"F#{agent_id}#{pipeline_id}")


def agent_shell(org_name: str, agent_id: str, shell_id: str) -> Key:
    """Return the key of an open debug shell among those of its agent."""
    return Key(f"K#{org_name}", f"S#{agent_id}#{shell_id}")


def connected_shell(connection_name: str) -> Key:
    """Return the key of the debug shell of a connection."""
    return Key(f"N#{connection_name}", "S")


def relayed(org_name: str, agent_id: str, slot: int) -> Key:
    """Return the key of a request that is relayed to an agent."""
    return Key(f"Q#{org_name}#{agent_id}", str(slot))


def response_part(org_name: str, agent_id: str, request: str, number: int) -> Key:
    """Return the key of a part of the response to a relayed request."""
    return Key(f"Q#{org_name}#{agent_id}#{request}", f"{number:0{_DIGITS}}")
