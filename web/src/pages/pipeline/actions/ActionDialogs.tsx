import { ActionPreview, PathList } from "@/components/ActionPreview";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { plural } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ModifyDialog } from "@/pages/pipeline/actions/ModifyDialog";
import type { Actions, Confirmation } from "@/pages/pipeline/actions/useActions";

interface Props {
  session: PipelineSession;
  actions: Actions;
}

/** Confirmation and edit dialogs of actions. */
export function ActionDialogs({ session, actions }: Props) {
  const { confirmation, modifying, dismiss } = actions;
  return (
    <>
      {confirmation === null ? null : <Confirm confirmation={confirmation} actions={actions} />}
      {modifying === null ? null : (
        <ModifyDialog session={session} paths={modifying} onClose={dismiss} />
      )}
    </>
  );
}

function Confirm({ confirmation, actions }: { confirmation: Confirmation; actions: Actions }) {
  const { request, preview } = confirmation;
  const verb = request.action.charAt(0).toUpperCase() + request.action.slice(1);
  const subject = preview.affected === 0 ? "this pipeline" : plural(preview.affected, "command");
  return (
    <ConfirmDialog
      title={`${verb} ${subject}?`}
      action={`${verb} ${subject}`}
      onConfirm={() => void actions.confirm()}
      onClose={actions.dismiss}
    >
      <ActionPreview preview={preview} />
      <PathList paths={preview.paths} total={preview.affected} />
    </ConfirmDialog>
  );
}
