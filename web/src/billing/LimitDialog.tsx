import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { BillingStatus } from "@/api/schema";
import { FormDialog } from "@/components/FormDialog";
import { toast } from "@/components/toasts";
import { organisationApi } from "@/people/api/organisation";

const DEFAULT_MINUTES = 15;

interface Props {
  billing: BillingStatus;
  onDone: (status: BillingStatus) => void;
  onClose: () => void;
}

/** The spend limit of the organisation. */
export function LimitDialog({ billing, onDone, onClose }: Props) {
  const [amount, setAmount] = useState(billing.limit === null ? "" : String(billing.limit));
  const [minutes, setMinutes] = useState(String(billing.grace_minutes));
  const save = useMutation({
    mutationFn: () =>
      organisationApi.setLimit(
        amount === "" ? null : Number(amount),
        minutes === "" ? DEFAULT_MINUTES : Number(minutes),
      ),
    onSuccess: (status) => {
      onDone(status);
      onClose();
      toast("The spend limit is stored");
    },
  });
  return (
    <FormDialog
      title="Spend limit"
      action="Save"
      disabled={save.isPending}
      error={save.error}
      onSubmit={() => save.mutate()}
      onClose={onClose}
    >
      <label>
        Maximum dollars in a period, without tax
        <input
          className="field"
          type="number"
          min={0}
          step="any"
          value={amount}
          placeholder="No limit"
          onChange={(event) => setAmount(event.target.value)}
        />
      </label>
      <label>
        Minutes for which commands may run on at the limit
        <input
          className="field"
          type="number"
          min={0}
          step="any"
          value={minutes}
          onChange={(event) => setMinutes(event.target.value)}
        />
      </label>
    </FormDialog>
  );
}
