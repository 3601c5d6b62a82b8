import { useMutation } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import type { SecretKey, SecretList } from "@/api/schema";
import { secretsApi } from "@/api/secrets";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";

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
    <Dialog
      title={`Delete ${secret.key}?`}
      onClose={onClose}
      footer={
        <>
          <Button autoFocus onClick={onClose}>
            Cancel
          </Button>
          <Button variant="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
            Delete
          </Button>
        </>
      }
    >
      <p>New commands will no longer receive it. You cannot restore its value.</p>
      {remove.error === null ? null : (
        <p className="form-error" role="alert">
          {messageOf(remove.error)}
        </p>
      )}
    </Dialog>
  );
}
