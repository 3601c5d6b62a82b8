import { lazily } from "@/components/lazily";
import type { PipelineSession } from "@/run/live/session";
import { ConfirmAction } from "@/run/actions/ConfirmAction";
import type { Actions, ActionTarget } from "@/run/actions/useActions";

const ModifyDialog = lazily(async () => (await import("@/run/actions/ModifyDialog")).ModifyDialog, {
  placeholder: null,
});

interface Props {
  session: PipelineSession;
  target: ActionTarget;
  actions: Actions;
}

/** Confirmation and edit dialogs of actions. */
export function ActionDialogs({ session, target, actions }: Props) {
  const { modifying, dismiss } = actions;
  return (
    <>
      <ConfirmAction actions={actions} />
      {modifying === null ? null : (
        <ModifyDialog session={session} target={target} paths={modifying} onClose={dismiss} />
      )}
    </>
  );
}
