import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { SecretInfo, SecretList, SecretValue } from "@/api/schema";
import { secretsApi } from "@/secrets/api/secrets";
import { FormDialog } from "@/components/FormDialog";

interface Props {
  known: readonly SecretInfo[];
  /** The secret to replace; null for a new one. */
  secret: SecretInfo | null;
  onDone: (answer: SecretList, key: string) => void;
  onClose: () => void;
}

/** A form for a secret. The page never stores its value. */
export function SetSecretDialog({ known, secret, onDone, onClose }: Props) {
  const [key, setKey] = useState(secret?.key ?? "");
  const [value, setValue] = useState("");
  const [mask, setMask] = useState(secret?.mask ?? true);
  const [scope, setScope] = useState<SecretValue["scope"]>(secret?.scope ?? "user");
  const [set, setSet] = useState(secret?.secret_set ?? "");
  const [lines, setLines] = useState(false);
  const put = useMutation({
    mutationFn: () =>
      secretsApi.put({ key, value, reference: null, mask, scope, secret_set: set.trim() }),
    onSuccess: (answer) => onDone(answer, key),
    gcTime: 0,
  });
  const isSame = (one: SecretInfo) =>
    one.key === key && one.scope === scope && one.secret_set === set.trim();
  const replaces = secret === null && known.some(isSame);
  return (
    <FormDialog
      title={secret === null ? "Add secret" : `Replace ${secret.key}`}
      action={secret === null && !replaces ? "Store" : "Replace"}
      disabled={key === "" || value === "" || put.isPending}
      error={put.error}
      onSubmit={() => put.mutate()}
      onClose={onClose}
    >
      {secret === null ? (
        <label>
          Environment variable
          <input
            className="field mono"
            value={key}
            data-first
            spellCheck={false}
            autoCapitalize="off"
            autoComplete="off"
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
      ) : null}
      <label>
        {secret === null ? "Value" : "New value"}
        {lines ? (
          <textarea
            className="field"
            rows={6}
            value={value}
            spellCheck={false}
            autoComplete="off"
            onChange={(event) => setValue(event.target.value)}
          />
        ) : (
          <input
            className="field mono"
            type="password"
            value={value}
            data-first={secret !== null || undefined}
            autoComplete="new-password"
            onChange={(event) => setValue(event.target.value)}
          />
        )}
      </label>
      <label className="form-check">
        <input
          type="checkbox"
          checked={lines}
          onChange={(event) => {
            setLines(event.target.checked);
            // A single-line field would silently remove line breaks.
            if (!event.target.checked && value.includes("\n")) setValue("");
          }}
        />
        Show text and allow several lines
      </label>
      <label className="form-check">
        <input type="checkbox" checked={mask} onChange={(event) => setMask(event.target.checked)} />
        Hide in output
      </label>
      {secret === null ? (
        <label>
          For
          <select
            className="field"
            value={scope}
            onChange={(event) => setScope(event.target.value === "org" ? "org" : "user")}
          >
            <option value="user">you</option>
            <option value="org">the organisation</option>
          </select>
        </label>
      ) : null}
      {secret === null ? (
        <label>
          Set (optional): only launches that choose it get the secret
          <input
            className="field"
            value={set}
            spellCheck={false}
            autoComplete="off"
            onChange={(event) => setSet(event.target.value)}
          />
        </label>
      ) : null}
      {replaces ? <p>{`${key} already exists; its value will be replaced.`}</p> : null}
    </FormDialog>
  );
}
