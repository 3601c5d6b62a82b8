import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { organisationApi } from "@/people/api/organisation";
import type { NewToken } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { FormDialog } from "@/components/FormDialog";

const DEFAULT_DAYS = 90;
const ASSISTANT_DAYS = 1;
type Permission = NewToken["permissions"][number];
type Scope = NewToken["scopes"][number];
const SCOPES: readonly { name: Scope; text: string }[] = [
  { name: "read", text: "read: pipelines, output and history" },
  { name: "control", text: "control: rerun, skip and cancel" },
  { name: "author", text: "author: change commands and launch pipelines" },
  { name: "use_secrets", text: "use secrets: run commands with the values of secrets" },
];

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
  const [isAssistant, setIsAssistant] = useState(false);
  const [chosen, setChosen] = useState<readonly string[]>(["read"]);
  const choices = isAssistant
    ? SCOPES
    : permissions.map((one) => ({ name: one, text: one.replaceAll("_", " ") }));
  const choose = (assistant: boolean) => {
    setIsAssistant(assistant);
    setChosen(["read"]);
    setDays(assistant ? ASSISTANT_DAYS : DEFAULT_DAYS);
  };
  const create = useMutation({
    mutationFn: () =>
      organisationApi.createToken({
        budget: null,
        name: name.trim(),
        days,
        permissions: isAssistant ? [] : (chosen as Permission[]),
        scopes: isAssistant ? (chosen as Scope[]) : [],
      }),
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
        <legend>For</legend>
        {[false, true].map((assistant) => (
          <label key={String(assistant)} className="form-check">
            <input
              type="radio"
              name="kind"
              checked={isAssistant === assistant}
              onChange={() => choose(assistant)}
            />
            {assistant ? "A coding assistant" : "A program, such as a script or CI"}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>{isAssistant ? "It may" : "Permissions"}</legend>
        {choices.map((choice) => (
          <label key={choice.name} className="form-check">
            <input
              type="checkbox"
              checked={chosen.includes(choice.name)}
              onChange={(event) =>
                setChosen((before) =>
                  event.target.checked
                    ? [...before, choice.name]
                    : before.filter((one) => one !== choice.name),
                )
              }
            />
            {choice.text}
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
