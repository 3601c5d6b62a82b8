import { useId, type ReactNode } from "react";

import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { Dialog } from "@/components/Dialog";
import { submitWithCtrlEnter } from "@/components/submitWithCtrlEnter";
import { useSubmitOnce } from "@/components/useSubmitOnce";

interface Props {
  title: string;
  /** Label of the button that submits the form. */
  action: string;
  /** The form is being sent, or is incomplete. */
  disabled: boolean;
  error: Error | null;
  onSubmit: () => void;
  onClose: () => void;
  /** The fields. */
  children: ReactNode;
}

/** A form in a dialog, which shows its error. The browser fills in nothing. */
export function FormDialog({ title, action, disabled, error, onSubmit, onClose, children }: Props) {
  const form = useId();
  const submitOnce = useSubmitOnce(disabled);
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="main" type="submit" form={form} disabled={disabled}>
            {action}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="form"
        autoComplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          submitOnce(onSubmit);
        }}
        onKeyDown={submitWithCtrlEnter}
      >
        {children}
        <FormError error={error} />
      </form>
    </Dialog>
  );
}
