import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { organisationApi } from "@/people/api/organisation";
import type { NewToken } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { FormDialog } from "@/components/FormDialog";

const DEFAULT_DAYS = 90;
type Permission = NewToken["permissions"][number];

interface Props {
  /** Those of the user: a token has at most these. */
  permissions: readonly string[];
  onCreated: () => void;
  onClose: () => void;
}

/** A form for a token, then the token, which is shown only once. */
export function CreateTokenDialog({ permissions, onCreated, onClose }: Props) {
  const [name, setName] = useState("");
  const [days, setDays] = useState(DEFAULT_DAYS);
  const [chosen, setChosen] = useState<readonly string[]>(["read"]);
  const create = useMutation({
    mutationFn: () =>
      organisationApi.createToken({ name: name.trim(), days, permissions: chosen as Permission[] }),
    onSuccess: onCreated,
    gcTime: 0,
  });
  if (create.data !== undefined) {
    return (
      <Dialog
        title="Your new token"
        onClose={onClose}
        footer={
          <Button variant="main" onClick={onClose}>
            Close
          </Button>
        }
      >
        <p>It is shown only now. Store it where your program reads it:</p>
        <Code text={create.data.token} label="token" />
      </Dialog>
    );
  }
  const isComplete = name.trim() !== "" && chosen.length > 0 && days > 0;
  return (
    <FormDialog
      title="Create a token"
      action="Create token"
      disabled={!isComplete || create.isPending}
      error={create.error}
      onSubmit={() => create.mutate()}
      onClose={onClose}
    >
      <label>
        Name
        <input
          className="field"
          value={name}
          data-first
          maxLength={100}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <fieldset>
        <legend>Permissions</legend>
        {permissions.map((permission) => (
          <label key={permission} className="form-check">
            <input
              type="checkbox"
              checked={chosen.includes(permission)}
              onChange={(event) =>
                setChosen((before) =>
                  event.target.checked
                    ? [...before, permission]
                    : before.filter((one) => one !== permission),
                )
              }
            />
            {permission.replaceAll("_", " ")}
          </label>
        ))}
      </fieldset>
      <label>
        Days until it expires
        <input
          className="field"
          type="number"
          min={1}
          max={366}
          value={days}
          onChange={(event) => setDays(event.target.valueAsNumber)}
        />
      </label>
    </FormDialog>
  );
}
