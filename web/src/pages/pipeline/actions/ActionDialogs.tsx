import type { PipelineSession } from "@/live/session";
import { ConfirmAction } from "@/pages/pipeline/actions/ConfirmAction";
import { ModifyDialog } from "@/pages/pipeline/actions/ModifyDialog";
import type { Actions, ActionTarget } from "@/pages/pipeline/actions/useActions";

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
