import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { api, messageOf } from "@/api/client";
import type { AttemptRecord, NodeView } from "@/api/schema";
import { Button } from "@/components/Button";
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
    <section className={styles.panel} aria-label="Approval">
      <h2 className={styles.title}>{waits ? "Waits for a decision" : "Approval"}</h2>
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
    </>
  );
}

function DecisionForm({
  id,
  path,
  attempt,
  onDecided,
}: {
  id: string;
  path: string;
  /** The question that the form is about: a later one is not decided by mistake. */
  attempt: number | null;
  onDecided: () => void;
}) {
  const [comment, setComment] = useState("");
  const decide = useMutation({
    mutationFn: (approve: boolean) =>
      api.decideApproval(id, { path, approve, attempt, comment: comment.trim() || null }),
    onSuccess: onDecided,
  });
  return (
    <>
      <label className={styles.comment}>
        <span>Comment (optional)</span>
        <textarea
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
        <Button variant="main" disabled={decide.isPending} onClick={() => decide.mutate(true)}>
          Approve
        </Button>
        <Button disabled={decide.isPending} onClick={() => decide.mutate(false)}>
          Reject
        </Button>
      </div>
    </>
  );
}
