import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/people/api/organisation";
import type { Member, OwnedRecord, Role } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { RequestDialog } from "@/components/RequestDialog";
import { toast } from "@/components/toasts";
import { useTitle } from "@/components/useTitle";
import { Invitations } from "@/people/Invitations";
import { InviteDialog } from "@/people/InviteDialog";
import { ListTable, TimeCell } from "@/people/ListTable";
import { OrganisationFrame } from "@/people/OrganisationFrame";
import styles from "@/people/Table.module.css";
import { TakeOverButton } from "@/people/TakeOverButton";
import { useWho } from "@/people/useWho";

const SUSPENDED_KINDS = {
  trust: "Trust in CI runs",
  rule: "Notification rule",
  trigger: "Git trigger",
};

const KEY = ["members"] as const;
const ROLES = ["viewer", "member", "admin", "owner"] as const;

/** The members of the organisation and the open invitations. */
export function MembersPage() {
  const client = useQueryClient();
  const who = useWho();
  const [removed, setRemoved] = useState<Member | null>(null);
  const [inviting, setInviting] = useState(false);
  const [suspended, setSuspended] = useState<readonly OwnedRecord[]>([]);
  const list = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => organisationApi.members(signal),
  });
  useTitle("Members");
  const refresh = () => void client.invalidateQueries({ queryKey: KEY });
  const invite = who.isAdmin ? (
    <Button variant="main" onClick={() => setInviting(true)}>
      Invite
    </Button>
  ) : null;
  return (
    <PageStatus error={list.error ?? who.query.error}>
      <OrganisationFrame
        path="/organisation"
        title="Members"
        actions={list.data?.members.length === 0 ? null : invite}
      >
        <Suspended
          records={suspended}
          onDone={(taken) => setSuspended(suspended.filter((one) => one !== taken))}
        />
        {list.data === undefined ? (
          <QueryPlaceholder query={list} rows={4} />
        ) : list.data.members.length === 0 ? (
          <EmptyState
            icon="people"
            title="No members yet"
            text="Members launch and see the pipelines of the organisation, each with a role. Invite the first owner: until then, only tokens of the administrator give access."
            action={invite}
            docs="organisations"
          />
        ) : (
          <Table
            members={list.data.members}
            user={who.user}
            isAdmin={who.isAdmin}
            isOwner={who.isOwner}
            onChanged={refresh}
            onSuspended={setSuspended}
            onRemove={setRemoved}
          />
        )}
        {who.isAdmin ? <Invitations /> : null}
      </OrganisationFrame>
      {inviting ? <InviteDialog isOwner={who.isOwner} onClose={() => setInviting(false)} /> : null}
      {removed === null ? null : (
        <RequestDialog
          danger
          {...(removed.user === who.user
            ? {
                title: `Leave ${who.org ?? ""}?`,
                action: "Leave",
                request: () => organisationApi.leave(),
                onDone: () => location.assign("/"),
                children: (
                  <p>
                    Your tokens and sessions end at once. Your pipelines, data and secrets stay.
                  </p>
                ),
              }
            : {
                title: `Remove ${removed.user}?`,
                action: "Remove",
                request: () =>
                  organisationApi.removeMember(removed.user).then((done) => {
                    setSuspended(done.suspended);
                    return done;
                  }),
                onDone: () => {
                  toast(`Removed ${removed.user}`);
                  setRemoved(null);
                  refresh();
                },
                children: (
                  <p>
                    Their tokens and sessions end within 5 seconds. Their pipelines, data and
                    secrets stay with the organisation.
                  </p>
                ),
              })}
          onClose={() => setRemoved(null)}
        />
      )}
    </PageStatus>
  );
}

interface SuspendedProps {
  records: readonly OwnedRecord[];
  onDone: (record: OwnedRecord) => void;
}

/** What the last removal or change of a role suspended. */
function Suspended({ records, onDone }: SuspendedProps) {
  if (records.length === 0) return null;
  return (
    <section className={styles.section} role="status">
      <p>Suspended until an administrator takes it over, or deletes it:</p>
      <ul>
        {records.map((record) => (
          <li key={`${record.kind} ${record.name}`}>
            {SUSPENDED_KINDS[record.kind]} {record.name}{" "}
            <TakeOverButton kind={record.kind} name={record.name} onDone={() => onDone(record)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

interface TableProps {
  members: readonly Member[];
  user: string | undefined;
  isAdmin: boolean;
  isOwner: boolean;
  onChanged: () => void;
  onSuspended: (records: readonly OwnedRecord[]) => void;
  onRemove: (member: Member) => void;
}

function Table(props: TableProps) {
  const { members, user, isAdmin, isOwner, onChanged, onSuspended, onRemove } = props;
  return (
    <ListTable columns={["Member", "Role", "Joined"]} actions="Remove">
      {members.map((member) => {
        const isMe = member.user === user;
        // Only owners change owners.
        const mayChange = isAdmin && (member.role !== "owner" || isOwner);
        return (
          <tr key={member.user}>
            <th scope="row">
              {member.user}
              {isMe ? <span className="muted"> (you)</span> : null}
              {member.email == null ? null : <div className="muted">{member.email}</div>}
            </th>
            <td>
              {mayChange ? (
                <RoleSelect
                  member={member}
                  isOwner={isOwner}
                  onChanged={onChanged}
                  onSuspended={onSuspended}
                />
              ) : (
                member.role
              )}
            </td>
            <TimeCell label="Joined" time={member.joined} />
            <td className={`list-number ${styles.action}`}>
              {mayChange || isMe ? (
                <Button
                  variant="quiet"
                  className="button-danger"
                  {...(isMe ? {} : { "aria-label": `Remove ${member.user}` })}
                  onClick={() => onRemove(member)}
                >
                  {isMe ? "Leave" : "Remove"}
                </Button>
              ) : null}
            </td>
          </tr>
        );
      })}
    </ListTable>
  );
}

function RoleSelect(props: {
  member: Member;
  isOwner: boolean;
  onChanged: () => void;
  onSuspended: (records: readonly OwnedRecord[]) => void;
}) {
  const { member, isOwner, onChanged, onSuspended } = props;
  const change = useMutation({
    mutationFn: (role: Role) => organisationApi.changeRole(member.user, role),
    onSuccess: ({ role, suspended }) => {
      toast(`${member.user} is now ${role}`);
      onSuspended(suspended);
    },
    onError: (error) => toast(messageOf(error), "error"),
    onSettled: onChanged,
  });
  return (
    <select
      className="field"
      aria-label={`Role of ${member.user}`}
      value={change.isPending ? change.variables : member.role}
      disabled={change.isPending}
      onChange={(event) => change.mutate(event.target.value as Role)}
    >
      {ROLES.filter((role) => isOwner || role !== "owner").map((role) => (
        <option key={role} value={role}>
          {role}
        </option>
      ))}
    </select>
  );
}
