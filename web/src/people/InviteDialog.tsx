import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { organisationApi } from "@/people/api/organisation";
import type { InvitationLink, Role } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { FormDialog } from "@/components/FormDialog";
import { INVITATIONS_KEY } from "@/people/Invitations";

const ROLE_LABELS = {
  viewer: "viewer: reads everything but secrets",
  member: "member: also launches and controls pipelines",
  admin: "admin: also manages members, secrets and tokens",
  owner: "owner: also manages billing and owners",
};

const ROLES = Object.entries(ROLE_LABELS) as [Role, string][];

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
      title="Invite somebody"
      action="Create invitation"
      disabled={email.trim() === "" || invite.isPending}
      error={invite.error}
      onSubmit={() => invite.mutate()}
      onClose={onClose}
    >
      <label>
        E-mail address
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
        Role
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
      title={`${invitation.email} is invited`}
      onClose={onClose}
      footer={
        <Button variant="main" onClick={onClose}>
          Close
        </Button>
      }
    >
      <p>
        {url === ""
          ? "Give this code to the person:"
          : "The link is shown only now. It works once, within seven days:"}
      </p>
      <Code text={url === "" ? code : url} label="link" />
      {mailed ? <p className="muted">{`It was also mailed to ${invitation.email}.`}</p> : null}
    </Dialog>
  );
}
