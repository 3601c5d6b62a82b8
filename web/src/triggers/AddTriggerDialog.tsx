import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { GithubApp, NewTrigger, TriggerRequest } from "@/api/schema";
import { triggersApi } from "@/triggers/api/triggers";
import { Choice, Field } from "@/components/Field";
import { FormDialog } from "@/components/FormDialog";
import { suggestedName } from "@/triggers/model/triggerName";

const PROVIDERS: Record<TriggerRequest["provider"], string> = {
  github: "GitHub",
  gitlab: "GitLab",
  bitbucket: "Bitbucket",
  gitea: "Gitea or Forgejo",
  generic: "Another sender",
};

const ACCESSES = {
  app: "GitHub App",
  token: "Token and webhook",
};

export const FORKS: Record<TriggerRequest["forks"], string> = {
  ignore: "Ignored",
  approve: "Launched after an approval, without secrets",
};

/** Seconds for which a launch waits for room in the plan. */
const WINDOWS: Record<string, string> = {
  3600: "1 hour",
  21600: "6 hours",
  86400: "24 hours",
  259200: "3 days",
  604800: "7 days",
};

interface Props {
  /** The GitHub App that the user may choose. */
  app: GithubApp | null;
  /** The names of the triggers that exist. */
  known: readonly string[];
  onDone: (stored: NewTrigger) => void;
  onClose: () => void;
}

type Provider = TriggerRequest["provider"];
type Access = "app" | "token";

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
  const [seconds, setWindow] = useState("86400");
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
        window: Number(seconds),
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
      title="Add trigger"
      action="Add trigger"
      disabled={put.isPending}
      error={put.error}
      onSubmit={() => put.mutate()}
      onClose={onClose}
    >
      <Field
        label="Repository"
        type="url"
        placeholder="https://github.com/acme/app"
        value={repository}
        onChange={setRepository}
      />
      <Field
        label="Name"
        value={name}
        onChange={setGiven}
        {...(known.includes(name.trim()) ? { hint: "The trigger of this name is replaced." } : {})}
      />
      <Choice label="Provider" value={provider} options={PROVIDERS} onChange={setProvider} />
      {app !== null && provider === "github" ? (
        <Choice label="Access" value={access} options={ACCESSES} onChange={setAccess} />
      ) : null}
      {isGeneric ? (
        <Field
          label="Command"
          hint="Prints a serialised tree, such as python pipeline.py {branch}."
          value={command}
          onChange={setCommand}
        />
      ) : usesApp ? null : (
        <>
          <Field
            label="Token"
            hint="It must read the repository and set commit statuses. It is never shown again."
            type="password"
            optional
            value={token}
            onChange={setToken}
          />
          <Field
            label="Address of the API"
            hint="Only for a server that has it at an unusual place."
            type="url"
            optional
            value={api}
            onChange={setApi}
          />
        </>
      )}
      <Choice label="Pull requests from forks" value={forks} options={FORKS} onChange={setForks} />
      <Choice
        label="Wait for room in the plan"
        value={seconds}
        options={WINDOWS}
        onChange={setWindow}
      />
    </FormDialog>
  );
}

function providerOf(repository: string): Provider {
  const known = ["gitlab", "bitbucket", "gitea"] as const;
  return known.find((name) => repository.toLowerCase().includes(name)) ?? "github";
}
