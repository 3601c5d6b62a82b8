import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { organisationApi } from "@/people/api/organisation";
import type { BillingStatus } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { toast } from "@/components/toasts";

const DEFAULT_MINUTES = 15;

interface Props {
  billing: BillingStatus;
  onDone: (status: BillingStatus) => void;
}

/** The spend limit of the organisation. */
export function LimitForm({ billing, onDone }: Props) {
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
      toast("The spend limit is stored");
    },
  });
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <p className="muted">
        At 80 % the billing contact gets an e-mail. At 100 % no worker starts, and commands that
        still run after the minutes below are killed.
      </p>
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
      <FormError error={save.error} />
      <div>
        <Button type="submit" disabled={save.isPending}>
          Save
        </Button>
      </div>
    </form>
  );
}
