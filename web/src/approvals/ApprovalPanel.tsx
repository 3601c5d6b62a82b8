import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { api, messageOf } from "@/api/client";
import type { ApprovalField, AttemptRecord, NodeView } from "@/api/schema";
import { Button } from "@/components/Button";
import { StateLabel } from "@/components/StateIcon";
import { moment } from "@/lib/time";
import { visible } from "@/lib/visible";
import styles from "@/approvals/ApprovalPanel.module.css";

const MAX_COMMENT = 2000;

interface Props {
  id: string;
  node: NodeView;
  onDecided: () => void;
}

/** What a person decides about: a form while the node waits, then the newest decision. */
export function ApprovalPanel({ id, node, onDecided }: Props) {
  const { approval } = node;
  if (approval === null) return null;
  const newest = node.attempts.at(-1);
  const waits = node.state === "queued";
  return (
    <section className={`${styles.panel} ${waits ? styles.asks : ""}`} aria-label="Approval">
      <h2 className={styles.title}>{waits ? <StateLabel state="approval" /> : "Approval"}</h2>
      <p className={styles.message}>{approval.message.split("\n").map(visible).join("\n")}</p>
      <p className="muted">
        {approval.who.length === 0
          ? "Decided by: anybody who may control the pipeline"
          : `Decided by: ${approval.who.map(visible).join(", ")}`}
      </p>
      {approval.withdrawn.map((why, at) => (
        <p key={at} className={styles.message}>
          {`Asked again: ${visible(why)}`}
        </p>
      ))}
      {waits ? (
        // A later question, for example after a reset, gets an empty form.
        <DecisionForm
          key={approval.attempt}
          id={id}
          path={node.path}
          attempt={approval.attempt}
          fields={approval.fields}
          onDecided={onDecided}
        />
      ) : (
        <Decision attempt={newest} />
      )}
    </section>
  );
}

function Decision({ attempt }: { attempt: AttemptRecord | undefined }) {
  const decision = attempt?.decision ?? null;
  if (decision === null) return null;
  const text = decision.approved
    ? (by: string, when: string) => `Approved by ${by}, ${when}`
    : (by: string, when: string) => `Rejected by ${by}, ${when}`;
  return (
    <>
      <p className={styles.message}>{text(visible(decision.by), moment(decision.time))}</p>
      {decision.comment === null ? null : (
        <blockquote className={styles.message}>{visible(decision.comment)}</blockquote>
      )}
      {decision.values === null ? null : (
        <dl className={styles.values}>
          {Object.entries(decision.values).map(([name, value]) => (
            <div key={name}>
              <dt className="muted">{name}</dt>
              <dd>{visible(String(value))}</dd>
            </div>
          ))}
        </dl>
      )}
    </>
  );
}

function DecisionForm({
  id,
  path,
  attempt,
  fields,
  onDecided,
}: {
  id: string;
  path: string;
  /** The question that the form is about: a later one is not decided by mistake. */
  attempt: number | null;
  fields: readonly ApprovalField[];
  onDecided: () => void;
}) {
  const [comment, setComment] = useState("");
  const [values, setValues] = useState<Record<string, string>>({});
  const decide = useMutation({
    mutationFn: (approve: boolean) =>
      api.decideApproval(id, {
        path,
        approve,
        attempt,
        comment: comment.trim() || null,
        values: approve ? values : {},
      }),
    onSuccess: onDecided,
  });
  return (
    <>
      {fields.map((field) => (
        <FormField
          key={field.name}
          field={field}
          value={values[field.name] ?? defaultText(field)}
          onChange={(value) => setValues({ ...values, [field.name]: value })}
        />
      ))}
      <label className={styles.comment}>
        <span>Comment (optional)</span>
        <textarea
          className={`field ${styles.field ?? ""}`}
          rows={2}
          maxLength={MAX_COMMENT}
          value={comment}
          onChange={({ currentTarget }) => setComment(currentTarget.value)}
        />
      </label>
      {decide.error === null ? null : (
        <p role="alert" className="form-error">
          {messageOf(decide.error)}
        </p>
      )}
      <div className={styles.buttons}>
        <Button variant="approve" disabled={decide.isPending} onClick={() => decide.mutate(true)}>
          Approve
        </Button>
        <Button disabled={decide.isPending} onClick={() => decide.mutate(false)}>
          Reject
        </Button>
      </div>
    </>
  );
}

function defaultText({ default: preset }: ApprovalField): string {
  return preset === null ? "" : String(preset);
}

/** A field of the form; the server reads its text as a value of the field's type. */
function FormField({
  field,
  value,
  onChange,
}: {
  field: ApprovalField;
  value: string;
  onChange: (value: string) => void;
}) {
  const choices = field.type === "boolean" ? ["true", "false"] : field.choices;
  const isNumber = field.type === "integer" || field.type === "number";
  return (
    <label className={styles.comment}>
      <span>
        {field.name}
        <span className="muted">
          {field.default === null ? ` (${field.type}, required)` : ` (${field.type})`}
        </span>
      </span>
      {choices.length > 0 ? (
        <select
          className="field"
          value={value}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        >
          {value === "" ? <option value="">Choose…</option> : null}
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {visible(choice)}
            </option>
          ))}
        </select>
      ) : (
        <input
          className="field"
          type="text"
          inputMode={isNumber ? "decimal" : "text"}
          value={value}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      )}
    </label>
  );
}
