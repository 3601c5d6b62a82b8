import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { organisationApi } from "@/people/api/organisation";
import type { InvitationLink, Role } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { FormDialog } from "@/components/FormDialog";
import { INVITATIONS_KEY } from "@/people/Invitations";
import { MEMBERS } from "@/people/texts/organisation";

const ROLES = Object.entries(MEMBERS.roles) as [Role, string][];

/** A form for an invitation, then its link, which is shown only once. */
export function InviteDialog({ isOwner, onClose }: { isOwner: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("member");
  const invite = useMutation({
    mutationFn: () => organisationApi.invite({ email: email.trim(), role, user: null }),
    onSuccess: () => void client.invalidateQueries({ queryKey: INVITATIONS_KEY }),
    gcTime: 0,
  });
  if (invite.data !== undefined) return <LinkDialog link={invite.data} onClose={onClose} />;
  return (
    <FormDialog
      title={MEMBERS.inviteTitle}
      action={MEMBERS.create}
      disabled={email.trim() === "" || invite.isPending}
      error={invite.error}
      onSubmit={() => invite.mutate()}
      onClose={onClose}
    >
      <label>
        {MEMBERS.address}
        <input
          className="field"
          type="email"
          value={email}
          data-first
          autoComplete="off"
          onChange={(event) => setEmail(event.target.value)}
        />
      </label>
      <label>
        {MEMBERS.role}
        <select
          className="field"
          value={role}
          onChange={(event) => setRole(event.target.value as Role)}
        >
          {ROLES.filter(([name]) => isOwner || name !== "owner").map(([name, text]) => (
            <option key={name} value={name}>
              {text}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  );
}

function LinkDialog({ link, onClose }: { link: InvitationLink; onClose: () => void }) {
  const { invitation, url, code, mailed } = link;
  return (
    <Dialog
      title={MEMBERS.invited(invitation.email)}
      onClose={onClose}
      footer={
        <Button variant="main" onClick={onClose}>
          {MEMBERS.close}
        </Button>
      }
    >
      <p>{url === "" ? MEMBERS.noLink : MEMBERS.linkHelp}</p>
      <Code text={url === "" ? code : url} label={MEMBERS.copyLink} />
      {mailed ? <p className="muted">{MEMBERS.mailed(invitation.email)}</p> : null}
    </Dialog>
  );
}
