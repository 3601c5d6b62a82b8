import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/api/organisation";
import type { Member, Role } from "@/api/schema";
import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { EmptyState } from "@/components/EmptyState";
import { PageStatus } from "@/components/PageStatus";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { useNow } from "@/components/useNow";
import { useTitle } from "@/components/useTitle";
import { formatDate, formatDateTitle } from "@/lib/formatDate";
import { Invitations } from "@/pages/organisation/Invitations";
import { InviteDialog } from "@/pages/organisation/InviteDialog";
import { OrganisationFrame } from "@/pages/organisation/OrganisationFrame";
import styles from "@/pages/organisation/Table.module.css";
import { useWho } from "@/pages/organisation/useWho";
import { MEMBERS } from "@/strings/organisation";

const KEY = ["members"] as const;
const ROLES = ["viewer", "member", "admin", "owner"] as const;

/** The members of the organisation and the open invitations. */
export function MembersPage() {
  const client = useQueryClient();
  const who = useWho();
  const [removed, setRemoved] = useState<Member | null>(null);
  const [inviting, setInviting] = useState(false);
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
            onRemove={setRemoved}
          />
        )}
        {who.isAdmin ? <Invitations /> : null}
      </OrganisationFrame>
      {inviting ? <InviteDialog isOwner={who.isOwner} onClose={() => setInviting(false)} /> : null}
      {removed === null ? null : (
        <RemoveDialog
          member={removed}
          org={removed.user === who.user ? (who.org ?? "") : null}
          onDone={() => {
            setRemoved(null);
            refresh();
          }}
          onClose={() => setRemoved(null)}
        />
      )}
    </PageStatus>
  );
}

interface TableProps {
  members: readonly Member[];
  user: string | undefined;
  isAdmin: boolean;
  isOwner: boolean;
  onChanged: () => void;
  onRemove: (member: Member) => void;
}

function Table({ members, user, isAdmin, isOwner, onChanged, onRemove }: TableProps) {
  const now = useNow(true);
  return (
    <div className={`card ${styles.card}`}>
      <table className={`list ${styles.stack}`}>
        <thead>
          <tr>
            <th scope="col">{MEMBERS.name}</th>
            <th scope="col">{MEMBERS.role}</th>
            <th scope="col">{MEMBERS.joined}</th>
            <th scope="col">
              <span className="sr-only">{MEMBERS.remove}</span>
            </th>
          </tr>
        </thead>
        <tbody>
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
                    <RoleSelect member={member} isOwner={isOwner} onChanged={onChanged} />
                  ) : (
                    member.role
                  )}
                </td>
                <td
                  className="muted"
                  data-label={MEMBERS.joined}
                  title={formatDateTitle(member.joined, now)}
                >
                  {formatDate(member.joined, now)}
                </td>
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
        </tbody>
      </table>
    </div>
  );
}

function RoleSelect(props: { member: Member; isOwner: boolean; onChanged: () => void }) {
  const { member, isOwner, onChanged } = props;
  const change = useMutation({
    mutationFn: (role: Role) => organisationApi.changeRole(member.user, role),
    onSuccess: ({ role }) => toast(MEMBERS.roleChanged(member.user, role)),
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

interface RemoveProps {
  member: Member;
  /** The organisation, for the user's own membership. */
  org: string | null;
  onDone: () => void;
  onClose: () => void;
}

function RemoveDialog({ member, org, onDone, onClose }: RemoveProps) {
  const remove = useMutation({
    mutationFn: () =>
      org === null ? organisationApi.removeMember(member.user) : organisationApi.leave(),
    onSuccess: () => {
      if (org !== null) {
        location.assign("/");
        return;
      }
      toast(MEMBERS.removed(member.user));
      onDone();
    },
  });
  return (
    <ConfirmDialog
      danger
      title={org === null ? MEMBERS.removeTitle(member.user) : MEMBERS.leaveTitle(org)}
      action={org === null ? MEMBERS.remove : MEMBERS.leave}
      disabled={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{org === null ? MEMBERS.removeEffect : MEMBERS.leaveEffect}</p>
    </ConfirmDialog>
  );
}
