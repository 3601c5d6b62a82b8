import type { ReactNode } from "react";

import { messageOf } from "@/api/client";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";

interface Props {
  title: string;
  /** Label of the button that confirms. */
  action: string;
  /** Marks an action that destroys something; Cancel then has the focus. */
  danger?: boolean;
  /** Label of the button that closes the dialog. */
  dismiss?: string;
  disabled?: boolean;
  error?: Error | null;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** Asks before an action, and shows its error. */
export function ConfirmDialog({ title, action, danger = false, ...props }: Props) {
  const {
    dismiss = "Cancel",
    disabled = false,
    error = null,
    onConfirm,
    onClose,
    children,
  } = props;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button data-first={danger || undefined} onClick={onClose}>
            {dismiss}
          </Button>
          <Button
            variant={danger ? "danger" : "main"}
            data-first={!danger || undefined}
            disabled={disabled}
            onClick={onConfirm}
          >
            {action}
          </Button>
        </>
      }
    >
      {children}
      <FormError error={error} />
    </Dialog>
  );
}

/** The error of a form or dialog, if any. */
export function FormError({ error }: { error: Error | null }) {
  return error === null ? null : (
    <p className="form-error" role="alert">
      {messageOf(error)}
    </p>
  );
}
