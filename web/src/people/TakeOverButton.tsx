import { useMutation } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/people/api/organisation";
import type { OwnedRecord } from "@/api/schema";
import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";
import { MEMBERS } from "@/people/texts/organisation";

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
      toast(MEMBERS.takenOver(name));
      onDone();
    },
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <Button
      aria-label={MEMBERS.takeOverLabel(name)}
      disabled={change.isPending}
      onClick={() => change.mutate()}
    >
      {MEMBERS.takeOver}
    </Button>
  );
}
