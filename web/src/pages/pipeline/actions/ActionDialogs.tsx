import { lazily } from "@/components/lazily";
import type { PipelineSession } from "@/live/session";
import { ConfirmAction } from "@/pages/pipeline/actions/ConfirmAction";
import type { Actions, ActionTarget } from "@/pages/pipeline/actions/useActions";

const ModifyDialog = lazily(
  async () => (await import("@/pages/pipeline/actions/ModifyDialog")).ModifyDialog,
  { placeholder: null },
);

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
