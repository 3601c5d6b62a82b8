import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { GithubApp, NewTrigger, TriggerRequest } from "@/api/schema";
import { triggersApi } from "@/triggers/api/triggers";
import { Choice, Field } from "@/components/Field";
import { FormDialog } from "@/components/FormDialog";
import { suggestedName } from "@/triggers/model/triggerName";
import { TRIGGERS } from "@/triggers/texts/triggers";

interface Props {
  /** The GitHub App that the user may choose. */
  app: GithubApp | null;
  /** The names of the triggers that exist. */
  known: readonly string[];
  onDone: (stored: NewTrigger) => void;
  onClose: () => void;
}

type Provider = TriggerRequest["provider"];
type Access = keyof typeof TRIGGERS.accesses;

/** The form of a trigger; the provider decides which fields it has. */
export function AddTriggerDialog({ app, known, onDone, onClose }: Props) {
  const [repository, setRepository] = useState("");
  const [given, setGiven] = useState<string | null>(null);
  const [chosen, setProvider] = useState<Provider | null>(null);
  const [wanted, setAccess] = useState<Access | null>(null);
  const [token, setToken] = useState("");
  const [api, setApi] = useState("");
  const [command, setCommand] = useState("");
  const [forks, setForks] = useState<TriggerRequest["forks"]>("ignore");
  const name = given ?? suggestedName(repository, known);
  const provider = chosen ?? providerOf(repository);
  const access = wanted ?? (app === null ? "token" : "app"); // the App may arrive later
  const usesApp = app !== null && provider === "github" && access === "app";
  const isGeneric = provider === "generic";
  const put = useMutation({
    mutationFn: () =>
      triggersApi.put(name.trim(), {
        provider,
        repository: repository.trim(),
        forks,
        app: usesApp,
        token: usesApp || isGeneric || token === "" ? null : token,
        api: usesApp || isGeneric || api.trim() === "" ? null : api.trim(),
        command: isGeneric ? command : null,
      }),
    onSuccess: onDone,
    gcTime: 0, // the token is not kept
  });
  return (
    <FormDialog
      title={TRIGGERS.add}
      action={TRIGGERS.add}
      disabled={put.isPending}
      error={put.error}
      onSubmit={() => put.mutate()}
      onClose={onClose}
    >
      <Field
        label={TRIGGERS.repository}
        type="url"
        placeholder={TRIGGERS.repositoryExample}
        value={repository}
        onChange={setRepository}
      />
      <Field
        label={TRIGGERS.name}
        value={name}
        onChange={setGiven}
        {...(known.includes(name.trim()) ? { hint: TRIGGERS.replaces } : {})}
      />
      <Choice
        label={TRIGGERS.provider}
        value={provider}
        options={TRIGGERS.providers}
        onChange={setProvider}
      />
      {app !== null && provider === "github" ? (
        <Choice
          label={TRIGGERS.access}
          value={access}
          options={TRIGGERS.accesses}
          onChange={setAccess}
        />
      ) : null}
      {isGeneric ? (
        <Field
          label={TRIGGERS.command}
          hint={TRIGGERS.commandHint}
          value={command}
          onChange={setCommand}
        />
      ) : usesApp ? null : (
        <>
          <Field
            label={TRIGGERS.token}
            hint={TRIGGERS.tokenHint}
            type="password"
            optional
            value={token}
            onChange={setToken}
          />
          <Field
            label={TRIGGERS.api}
            hint={TRIGGERS.apiHint}
            type="url"
            optional
            value={api}
            onChange={setApi}
          />
        </>
      )}
      <Choice
        label={TRIGGERS.forks}
        value={forks}
        options={TRIGGERS.forkOptions}
        onChange={setForks}
      />
    </FormDialog>
  );
}

function providerOf(repository: string): Provider {
  return repository.toLowerCase().includes("gitlab") ? "gitlab" : "github";
}
