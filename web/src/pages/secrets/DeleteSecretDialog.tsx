import { useMutation } from "@tanstack/react-query";

import type { SecretKey, SecretList } from "@/api/schema";
import { secretsApi } from "@/api/secrets";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { SECRETS } from "@/strings/secrets";

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
      title={SECRETS.deleteTitle(secret.key)}
      action={SECRETS.delete}
      disabled={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{SECRETS.deleteEffect}</p>
    </ConfirmDialog>
  );
}
