import { useMutation } from "@tanstack/react-query";

import type { SecretKey, SecretList } from "@/api/schema";
import { secretsApi } from "@/api/secrets";
import { ConfirmDialog } from "@/components/ConfirmDialog";

interface Props {
  secret: SecretKey;
  onDone: (answer: SecretList) => void;
  onClose: () => void;
}

export function DeleteSecretDialog({ secret, onDone, onClose }: Props) {
  const remove = useMutation({
    mutationFn: () => secretsApi.remove(secret),
    onSuccess: onDone,
  });
  return (
    <ConfirmDialog
      danger
      title={`Delete ${secret.key}?`}
      action="Delete"
      disabled={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>New commands will no longer receive it. You cannot restore its value.</p>
    </ConfirmDialog>
  );
}
