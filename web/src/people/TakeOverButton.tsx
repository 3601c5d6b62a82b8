import { useMutation } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/people/api/organisation";
import type { OwnedRecord } from "@/api/schema";
import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";

interface TakeOverButtonProps {
  kind: OwnedRecord["kind"];
  name: string;
  onDone: () => void;
}

/** Makes an administrator the owner of a suspended record. */
export function TakeOverButton({ kind, name, onDone }: TakeOverButtonProps) {
  const change = useMutation({
    mutationFn: () => organisationApi.takeOver(kind, name),
    onSuccess: () => {
      toast(`${name} is yours now, and works again`);
      onDone();
    },
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <Button
      aria-label={`Take over ${name}`}
      disabled={change.isPending}
      onClick={() => change.mutate()}
    >
      Take over
    </Button>
  );
}
