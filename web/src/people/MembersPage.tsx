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
import { MEMBERS } from "@/people/texts/organisation";

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
  useTitle(MEMBERS.title);
  const refresh = () => void client.invalidateQueries({ queryKey: KEY });
  return (
    <PageStatus error={list.error ?? who.query.error}>
      <OrganisationFrame
        path="/organisation"
        title={MEMBERS.title}
        actions={
          who.isAdmin ? (
            <Button variant="main" onClick={() => setInviting(true)}>
              {MEMBERS.invite}
            </Button>
          ) : null
        }
      >
        <Suspended
          records={suspended}
          onDone={(taken) => setSuspended(suspended.filter((one) => one !== taken))}
        />
        {list.data === undefined ? (
          <QueryPlaceholder query={list} rows={4} />
        ) : list.data.members.length === 0 ? (
          <EmptyState title={MEMBERS.none}>
            <p className="muted">{MEMBERS.noneHelp}</p>
          </EmptyState>
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
                title: MEMBERS.leaveTitle(who.org ?? ""),
                action: MEMBERS.leave,
                request: () => organisationApi.leave(),
                onDone: () => location.assign("/"),
                children: <p>{MEMBERS.leaveEffect}</p>,
              }
            : {
                title: MEMBERS.removeTitle(removed.user),
                action: MEMBERS.remove,
                request: () =>
                  organisationApi.removeMember(removed.user).then((done) => {
                    setSuspended(done.suspended);
                    return done;
                  }),
                onDone: () => {
                  toast(MEMBERS.removed(removed.user));
                  setRemoved(null);
                  refresh();
                },
                children: <p>{MEMBERS.removeEffect}</p>,
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
      <p>{MEMBERS.suspendedHelp}</p>
      <ul>
        {records.map((record) => (
          <li key={`${record.kind} ${record.name}`}>
            {MEMBERS.suspendedKinds[record.kind]} {record.name}{" "}
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
    <ListTable columns={[MEMBERS.name, MEMBERS.role, MEMBERS.joined]} actions={MEMBERS.remove}>
      {members.map((member) => {
        const isMe = member.user === user;
        // Only owners change owners.
        const mayChange = isAdmin && (member.role !== "owner" || isOwner);
        return (
          <tr key={member.user}>
            <th scope="row">
              {member.user}
              {isMe ? <span className="muted"> ({MEMBERS.you})</span> : null}
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
            <TimeCell label={MEMBERS.joined} time={member.joined} />
            <td className={`list-number ${styles.action}`}>
              {mayChange || isMe ? (
                <Button
                  variant="quiet"
                  className="button-danger"
                  {...(isMe ? {} : { "aria-label": MEMBERS.removeLabel(member.user) })}
                  onClick={() => onRemove(member)}
                >
                  {isMe ? MEMBERS.leave : MEMBERS.remove}
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
      toast(MEMBERS.roleChanged(member.user, role));
      onSuspended(suspended);
    },
    onError: (error) => toast(messageOf(error), "error"),
    onSettled: onChanged,
  });
  return (
    <select
      className="field"
      aria-label={MEMBERS.roleOf(member.user)}
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
