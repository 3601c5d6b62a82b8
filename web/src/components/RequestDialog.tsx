import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ConfirmDialog } from "@/components/ConfirmDialog";

interface Props<R> {
  title: string;
  /** Label of the button that sends the request. */
  action: string;
  /** Marks a request that destroys something. */
  danger?: boolean;
  request: () => Promise<R>;
  onDone: (response: R) => void;
  onClose: () => void;
  children: ReactNode;
}

/** Asks before a request, sends it, and shows its error. */
export function RequestDialog<R>({ request, onDone, ...dialog }: Props<R>) {
  const { mutate, isPending, error } = useMutation({ mutationFn: request, onSuccess: onDone });
  return (
    <ConfirmDialog {...dialog} disabled={isPending} error={error} onConfirm={() => mutate()} />
  );
}
